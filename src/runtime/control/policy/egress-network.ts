import type { KubeObject } from '../../kube/types.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { type Ip, networkContains } from '../cluster/ip.ts'
import { byAge } from '../cluster/server.ts'
import { type ClientNetwork, readNetworks } from './authentication.ts'
import { everywhere } from './authorization.ts'
import { type FailureAccrual, readFailureAccrual } from './route/failure-accrual.ts'
import { readSettings, type Settings } from './route/settings.ts'

/** Namespace whose EgressNetworks are for the clients of every namespace that has none of its own. */
export const globalEgressNamespace = 'linkerd-egress'

export interface EgressNetworkObject extends KubeObject {
  spec?: { trafficPolicy?: string; networks?: { cidr?: string; except?: string[] }[] }
  status?: unknown
}

/** An EgressNetwork: addresses outside the cluster, and whether they may be reached. */
export interface EgressNetwork {
  namespace: string
  name: string
  createdMs: number
  generation: number
  /** For traffic that no route of it speaks of. */
  isAllowed: boolean
  networks: readonly ClientNetwork[]
  settings: Settings
  failureAccrual?: FailureAccrual
  /** Why it is not used. */
  problem?: { reason: string; message: string }
  /** Its status, as text, so that a status that somebody else changed is noticed. */
  ownStatus: string
}

/** Reads an EgressNetwork. Without networks it is everything outside the cluster. */
export function readEgressNetwork(object: EgressNetworkObject, config: MeshConfig): EgressNetwork {
  const { metadata, spec = {} } = object
  const networks = spec.networks === undefined ? outside(config) : readNetworks(spec.networks)
  const { accrual } = readFailureAccrual(metadata.annotations ?? {})
  const common = {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    generation: metadata.generation ?? 0,
    settings: readSettings(metadata.annotations ?? {}).settings,
    ...(accrual === undefined ? {} : { failureAccrual: accrual }),
    isAllowed: spec.trafficPolicy === 'Allow',
    ownStatus: JSON.stringify(object.status ?? {}),
  }
  if (networks === undefined) {
    const message = 'its networks are empty, or one of them cannot be read'
    return { ...common, networks: [], problem: { reason: 'InvalidNetworks', message } }
  }
  const overlap = networks.find((network) => overlapsCluster(network, config))
  if (overlap === undefined) return { ...common, networks }
  const problem = {
    reason: 'EgressReasonNetworkOverlap',
    message: 'its networks overlap those of the cluster',
  }
  return { ...common, networks, problem }
}

function outside(config: MeshConfig): ClientNetwork[] {
  return everywhere.map(({ network }) => ({
    network,
    except: config.clusterNetworks.filter(({ ip }) => ip.family === network.ip.family),
  }))
}

function overlapsCluster({ network, except }: ClientNetwork, config: MeshConfig): boolean {
  return config.clusterNetworks.some((cluster) => {
    const isApart = !networkContains(network, cluster.ip) && !networkContains(cluster, network.ip)
    if (isApart) return false
    return !except.some(
      (each) => each.prefixLength <= cluster.prefixLength && networkContains(each, cluster.ip),
    )
  })
}

/**
 * The EgressNetwork that an address is in: of the client's namespace, else of the global one. The narrowest network
 * counts, then the oldest, then the first by name.
 */
export function egressNetworkOf(
  ip: Ip,
  own: readonly EgressNetwork[],
  global: readonly EgressNetwork[],
): EgressNetwork | undefined {
  for (const candidates of [own, global]) {
    const matches = candidates.flatMap((candidate) => {
      const prefixLength = candidate.problem === undefined ? narrowest(candidate, ip) : undefined
      return prefixLength === undefined ? [] : [{ candidate, prefixLength }]
    })
    matches.sort(
      (left, right) => right.prefixLength - left.prefixLength || byAge(left.candidate, right.candidate),
    )
    if (matches[0] !== undefined) return matches[0].candidate
  }
  return undefined
}

/** The length of the longest prefix of a network that holds the address. */
function narrowest({ networks }: EgressNetwork, ip: Ip): number | undefined {
  const lengths = networks
    .filter(({ network, except }) => {
      return networkContains(network, ip) && !except.some((each) => networkContains(each, ip))
    })
    .map(({ network }) => network.prefixLength)
  return lengths.length === 0 ? undefined : Math.max(...lengths)
}
