import type { Container, Pod } from '../objects.ts'
import { ContainerConfigError } from './env-vars.ts'

/** Whom a container's processes run as, and what they may do. */
export interface ProcessRights {
  userId: number
  groupId: number
  groups: number[]
  /** Lower-case names without `cap_`; undefined for all that the cluster itself has. */
  capabilities: string[] | undefined
  mayGainPrivileges: boolean
  isRootReadOnly: boolean
}

/** What container runtimes leave to root, see the default of Docker and containerd. */
const defaultCapabilities = [
  'audit_write',
  'chown',
  'dac_override',
  'fowner',
  'fsetid',
  'kill',
  'mknod',
  'net_bind_service',
  'net_raw',
  'setfcap',
  'setgid',
  'setpcap',
  'setuid',
  'sys_chroot',
]

/** @throws ContainerConfigError when the container must not run as root but would */
export function processRights(pod: Pod, container: Container): ProcessRights {
  const shared = pod.spec.securityContext ?? {}
  const own = container.securityContext ?? {}
  const userId = own.runAsUser ?? shared.runAsUser ?? 0
  const isNonRoot = own.runAsNonRoot ?? shared.runAsNonRoot ?? false
  if (isNonRoot && userId === 0) {
    throw new ContainerConfigError('container has runAsNonRoot and image will run as root')
  }
  const groups = [
    ...(shared.supplementalGroups ?? []),
    ...(shared.fsGroup === undefined ? [] : [shared.fsGroup]),
  ]
  return {
    userId,
    groupId: own.runAsGroup ?? shared.runAsGroup ?? 0,
    groups,
    capabilities: own.privileged ? undefined : capabilitiesOf(own.capabilities),
    mayGainPrivileges: own.allowPrivilegeEscalation !== false,
    isRootReadOnly: own.readOnlyRootFilesystem === true,
  }
}

function capabilitiesOf({
  add = [],
  drop = [],
}: {
  add?: string[]
  drop?: string[]
} = {}): string[] | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/^cap_/, '')
  const added = add.map(plain)
  const dropped = new Set(drop.map(plain))
  if (added.includes('all')) return undefined
  const kept = dropped.has('all') ? [] : defaultCapabilities.filter((name) => !dropped.has(name))
  return [...new Set([...kept, ...added])].sort()
}

/**
 * Arguments for setpriv(1). Root gets exactly the capabilities of the bounding set; any other user none, as in
 * Kubernetes, where they are not inherited either.
 */
export function setprivArguments(rights: ProcessRights): string[] {
  const { userId, groupId, groups, capabilities } = rights
  const bounding = capabilities && ['-all', ...capabilities.map((name) => `+${name}`)].join(',')
  return [
    ...(groups.length === 0 ? ['--clear-groups'] : [`--groups=${groups.join(',')}`]),
    `--regid=${groupId}`,
    `--reuid=${userId}`,
    '--inh-caps=-all',
    ...(bounding === undefined ? [] : [`--bounding-set=${bounding}`]),
    ...(rights.mayGainPrivileges ? [] : ['--no-new-privs']),
  ]
}
