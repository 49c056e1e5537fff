import { parseArgs } from 'node:util'
import { MeshError, messageOf } from '../shared/errors.ts'

/** A flag that one controller has beyond the common ones. All flags take a value. */
export interface FlagDefinition {
  default: string
  description: string
  /** Says what is wrong with a value, or nothing. */
  problem?: (value: string) => string | undefined
}

/** The flags that every controller has. */
export interface ControllerFlags {
  controllerNamespace: string
  clusterDomain: string
  identityTrustDomain: string
  /** CIDRs of pods and services, separated by commas. */
  clusterNetworks: string
  logLevel: string
  /** Empty: no admin server. */
  adminAddr: string
  /** For running outside a cluster. */
  kubeconfig?: string
  context?: string
  /** How long a stop may take. */
  shutdownGracePeriod: string
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent']

const commonFlags: Record<string, FlagDefinition> = {
  'controller-namespace': { default: 'linkerd', description: 'Namespace of the control plane' },
  'cluster-domain': { default: 'cluster.local', description: 'DNS domain of the cluster' },
  'identity-trust-domain': { default: 'cluster.local', description: 'Domain that identities end with' },
  'cluster-networks': {
    default: '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8',
    description: 'CIDRs of pods and services',
  },
  'log-level': {
    default: 'info',
    description: logLevels.join(', '),
    problem: (value) => (logLevels.includes(value) ? undefined : `it is one of ${logLevels.join(', ')}`),
  },
  'admin-addr': { default: '', description: 'Where /ready, /live, /ping and /metrics are served' },
  kubeconfig: { default: '', description: 'Kubeconfig; by default the pod’s service account' },
  context: { default: '', description: 'Context of the kubeconfig' },
  'shutdown-grace-period': { default: '10s', description: 'How long a stop may take' },
}

/** What a command line says. */
export interface ParsedFlags {
  flags: ControllerFlags
  /** The controller's own flags by name, with their defaults. */
  options: Readonly<Record<string, string>>
  isHelpWanted: boolean
}

/**
 * Reads the flags of a controller.
 * @throws MeshError `MESH_CONTROLLER_FLAGS`
 */
export function parseFlags(
  args: readonly string[],
  component: string,
  adminAddr: string,
  own: Record<string, FlagDefinition>,
): ParsedFlags {
  const definitions = { ...commonFlags, ...own }
  const values = parseValues(args, definitions, component)
  const value = (name: string) => {
    const given = values[name]
    return typeof given === 'string' ? given : (definitions[name]?.default ?? '')
  }
  for (const [name, definition] of Object.entries(definitions)) {
    const problem = definition.problem?.(value(name))
    if (problem !== undefined) throw flagError(component, `--${name}=${value(name)}: ${problem}`)
  }
  return {
    flags: {
      controllerNamespace: value('controller-namespace'),
      clusterDomain: value('cluster-domain'),
      identityTrustDomain: value('identity-trust-domain'),
      clusterNetworks: value('cluster-networks'),
      logLevel: value('log-level'),
      adminAddr: values['admin-addr'] === undefined ? adminAddr : value('admin-addr'),
      shutdownGracePeriod: value('shutdown-grace-period'),
      ...(value('kubeconfig') === '' ? {} : { kubeconfig: value('kubeconfig') }),
      ...(value('context') === '' ? {} : { context: value('context') }),
    },
    options: Object.fromEntries(Object.keys(own).map((name) => [name, value(name)])),
    isHelpWanted: values.help === true,
  }
}

function parseValues(
  args: readonly string[],
  definitions: Record<string, FlagDefinition>,
  component: string,
): Record<string, string | boolean | undefined> {
  const options = Object.fromEntries(
    Object.keys(definitions).map((name) => [name, { type: 'string' as const }]),
  )
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean' } },
      strict: true,
      allowPositionals: false,
    })
    return values as Record<string, string | boolean | undefined>
  } catch (error) {
    throw flagError(component, messageOf(error))
  }
}

function flagError(component: string, reason: string): MeshError {
  return new MeshError({
    code: 'MESH_CONTROLLER_FLAGS',
    kind: 'usage',
    message: `The flags of ${component} are wrong`,
    reason,
    next: [`controller ${component} --help`],
  })
}

/** The text of `--help`. */
export function describeFlags(component: string, own: Record<string, FlagDefinition>): string {
  const lines = Object.entries({ ...commonFlags, ...own }).map(
    ([name, { default: value, description }]) =>
      `  --${name.padEnd(30)} ${description}${value === '' ? '' : ` (default ${value})`}\n`,
  )
  return `Usage: controller ${component} [flags]\n\n${lines.join('')}`
}
