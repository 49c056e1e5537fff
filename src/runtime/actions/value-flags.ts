import type { Assignment } from './set-grammar.ts'

/** A flag that sets one value: Linkerd's name for it, and where it goes. */
export interface ValueFlag {
  name: string
  path: readonly string[]
  kind: 'text' | 'number' | 'on' | 'off'
  description: string
  /** Whether `inject` has it too. */
  proxy?: boolean
}

const ports = ['proxy', 'ports'] as const
const resources = ['proxy', 'resources'] as const

/** The flags of `install`, `upgrade` and `inject` that are short for a value. */
export const valueFlags: readonly ValueFlag[] = [
  { name: 'cluster-domain', path: ['clusterDomain'], kind: 'text', description: 'DNS domain of the cluster' },
  {
    name: 'identity-trust-domain',
    path: ['identityTrustDomain'],
    kind: 'text',
    description: 'Domain that identities end with',
  },
  {
    name: 'identity-issuance-lifetime',
    path: ['identity', 'issuanceLifetime'],
    kind: 'text',
    description: 'How long a proxy certificate is valid',
  },
  {
    name: 'identity-clock-skew-allowance',
    path: ['identity', 'clockSkewAllowance'],
    kind: 'text',
    description: 'How far clocks may differ',
  },
  {
    name: 'controller-replicas',
    path: ['controllerReplicas'],
    kind: 'number',
    description: 'Replicas of each controller',
  },
  { name: 'controller-uid', path: ['controllerUID'], kind: 'number', description: 'User of the controllers' },
  {
    name: 'controller-log-level',
    path: ['controllerLogLevel'],
    kind: 'text',
    description: 'Log level of the controllers',
  },
  {
    name: 'disable-h2-upgrade',
    path: ['enableH2Upgrade'],
    kind: 'off',
    description: 'Do not carry HTTP/1 over HTTP/2 between meshed pods',
  },
  {
    name: 'image-pull-policy',
    path: ['proxy', 'image', 'pullPolicy'],
    kind: 'text',
    description: 'Always, IfNotPresent or Never',
    proxy: true,
  },
  {
    name: 'proxy-image',
    path: ['proxy', 'image', 'name'],
    kind: 'text',
    description: 'Image of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-version',
    path: ['proxy', 'image', 'version'],
    kind: 'text',
    description: 'Tag of the proxy image',
    proxy: true,
  },
  {
    name: 'inbound-port',
    path: [...ports, 'inbound'],
    kind: 'number',
    description: 'Inbound port of the proxy',
    proxy: true,
  },
  {
    name: 'outbound-port',
    path: [...ports, 'outbound'],
    kind: 'number',
    description: 'Outbound port of the proxy',
    proxy: true,
  },
  {
    name: 'admin-port',
    path: [...ports, 'admin'],
    kind: 'number',
    description: 'Metrics port of the proxy',
    proxy: true,
  },
  {
    name: 'control-port',
    path: [...ports, 'control'],
    kind: 'number',
    description: 'Tap port of the proxy',
    proxy: true,
  },
  {
    name: 'skip-inbound-ports',
    path: ['proxy', 'skipInboundPorts'],
    kind: 'text',
    description: 'Inbound ports that bypass the proxy',
    proxy: true,
  },
  {
    name: 'skip-outbound-ports',
    path: ['proxy', 'skipOutboundPorts'],
    kind: 'text',
    description: 'Outbound ports that bypass the proxy',
    proxy: true,
  },
  {
    name: 'opaque-ports',
    path: ['proxy', 'opaquePorts'],
    kind: 'text',
    description: 'Ports whose protocol is not detected',
    proxy: true,
  },
  {
    name: 'proxy-uid',
    path: ['proxy', 'uid'],
    kind: 'number',
    description: 'User of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-gid',
    path: ['proxy', 'gid'],
    kind: 'number',
    description: 'Group of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-log-level',
    path: ['proxy', 'logLevel'],
    kind: 'text',
    description: 'Log directives of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-cpu-request',
    path: [...resources, 'cpu', 'request'],
    kind: 'text',
    description: 'CPU request of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-cpu-limit',
    path: [...resources, 'cpu', 'limit'],
    kind: 'text',
    description: 'CPU limit of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-memory-request',
    path: [...resources, 'memory', 'request'],
    kind: 'text',
    description: 'Memory request of the proxy',
    proxy: true,
  },
  {
    name: 'proxy-memory-limit',
    path: [...resources, 'memory', 'limit'],
    kind: 'text',
    description: 'Memory limit of the proxy',
    proxy: true,
  },
  {
    name: 'default-inbound-policy',
    path: ['proxy', 'defaultInboundPolicy'],
    kind: 'text',
    description: 'Who may connect where no policy says otherwise',
    proxy: true,
  },
]

/** The assignments that parsed flags stand for. */
export function flagAssignments(flags: Readonly<Record<string, unknown>>): Assignment[] {
  return valueFlags.flatMap(({ name, path, kind }) => {
    const value = flags[name]
    if (value === undefined || (typeof value === 'boolean' && !value)) return []
    return [{ path: [...path], value: typeof value === 'boolean' ? kind === 'on' : value }]
  })
}
