import { isDeepStrictEqual } from 'node:util'
import type { MeshConfig } from '../cluster/config.ts'
import { type Ip, networkContains, parseIp } from '../cluster/ip.ts'
import { type Computed, ComputedMap, type Observer } from '../cluster/reactive.ts'
import { byAge } from '../cluster/server.ts'
import type { Service } from '../cluster/service.ts'
import type { ClusterState } from '../cluster/state.ts'
import { idOf } from '../cluster/table.ts'
import type { BackendContext } from './backends.ts'
import { type EgressNetwork, egressNetworkOf, globalEgressNamespace } from './egress-network.ts'
import { egressFallback, egressPolicy } from './outbound-egress.ts'
import type { OutboundPolicy } from './outbound-policy.ts'
import { servicePolicy } from './outbound-service.ts'
import { effectiveRoutes, parentKey, serviceParentProblem } from './route/attachment.ts'
import type { Route } from './route/route.ts'
import type { PolicyState } from './state.ts'
import type { TrafficSplit } from './traffic-split.ts'

/** Where traffic goes: an address, or a Service by name. */
export type OutboundTarget =
  | { kind: 'address'; ip: string; port: number }
  | { kind: 'service'; namespace: string; name: string; port: number }

export interface OutboundQuery {
  target: OutboundTarget
  /** Namespace of the client. */
  source: string
}

/** A policy, or why there is none. */
export type OutboundResult =
  | { kind: 'policy'; policy: OutboundPolicy }
  | { kind: 'unknown'; reason: string }
  | { kind: 'external-name' }

/** A Service's port, from the point of view of a client's namespace. */
interface ServiceQuery {
  namespace: string
  name: string
  port: number
  source: string
}

/** Policies towards targets, kept up to date for as long as somebody reads them. */
export class OutboundPolicies {
  readonly #cluster: ClusterState
  readonly #policies: PolicyState
  readonly #config: MeshConfig
  readonly #targets: ComputedMap<OutboundQuery, OutboundResult>
  readonly #services: ComputedMap<ServiceQuery, OutboundResult>

  constructor(cluster: ClusterState, policies: PolicyState, config: MeshConfig) {
    this.#cluster = cluster
    this.#policies = policies
    this.#config = config
    this.#targets = new ComputedMap((query, observer) => this.#ofTarget(query, observer), isDeepStrictEqual)
    this.#services = new ComputedMap((query, observer) => this.#ofService(query, observer), isDeepStrictEqual)
  }

  of(query: OutboundQuery): Computed<OutboundResult> {
    return this.#targets.of(query)
  }

  #ofTarget({ target, source }: OutboundQuery, observer: Observer): OutboundResult {
    if (target.kind === 'service') {
      const { namespace, name, port } = target
      return this.#services.of({ namespace, name, port, source }).read(observer)
    }
    const { ip, port } = target
    const [service] = this.#cluster.servicesByIp.rows(ip, observer)
    if (service !== undefined) {
      const { namespace, name } = service
      return this.#services.of({ namespace, name, port, source }).read(observer)
    }
    const address = parseIp(ip)
    if (address === undefined) return { kind: 'unknown', reason: `"${ip}" is not an address` }
    const network = this.#egressNetworkOf(address, source, observer)
    if (network !== undefined) return this.#ofEgress(network, { ip, port }, source, observer)
    if (this.#config.clusterNetworks.some((each) => networkContains(each, address))) {
      return { kind: 'unknown', reason: `no Service has the address ${ip}` }
    }
    return { kind: 'policy', policy: egressFallback(ip, port) }
  }

  #egressNetworkOf(address: Ip, source: string, observer: Observer): EgressNetwork | undefined {
    const inNamespace = this.#policies.egressNetworksByNamespace
    return egressNetworkOf(
      address,
      inNamespace.rows(source, observer),
      inNamespace.rows(globalEgressNamespace, observer),
    )
  }

  #ofEgress(
    network: EgressNetwork,
    original: { ip: string; port: number },
    source: string,
    observer: Observer,
  ): OutboundResult {
    const parent = parentKey('EgressNetwork', network.namespace, network.name)
    const attached = <R extends Route<unknown>>(routes: readonly R[]) =>
      effectiveRoutes(routes, { kind: 'EgressNetwork', ...network }, original.port, source)
    const policy = egressPolicy(
      network,
      {
        http: attached(this.#policies.httpRoutesByParent.rows(parent, observer)),
        grpc: attached(this.#policies.grpcRoutesByParent.rows(parent, observer)),
      },
      { ...this.#context(observer), original },
    )
    return { kind: 'policy', policy }
  }

  #context(observer: Observer): BackendContext {
    return { cluster: this.#cluster, policies: this.#policies, config: this.#config, observer }
  }

  #ofService({ namespace, name, port, source }: ServiceQuery, observer: Observer): OutboundResult {
    const service = this.#cluster.services.get(idOf(namespace, name), observer)
    if (service === undefined) {
      return { kind: 'unknown', reason: `there is no Service ${namespace}/${name}` }
    }
    if (service.isExternalName) return { kind: 'external-name' }
    const parent = parentKey('Service', namespace, name)
    const split = this.#splitOf(service, observer)
    // The same as their status says.
    const hasRoutes = serviceParentProblem(service) === undefined
    const attached = <R extends Route<unknown>>(routes: readonly R[]) =>
      hasRoutes ? effectiveRoutes(routes, { kind: 'Service', namespace, name }, port, source) : []
    const policy = servicePolicy(
      service,
      port,
      {
        http: attached(this.#policies.httpRoutesByParent.rows(parent, observer)),
        grpc: attached(this.#policies.grpcRoutesByParent.rows(parent, observer)),
        ...(split === undefined ? {} : { split }),
      },
      this.#context(observer),
    )
    return { kind: 'policy', policy }
  }

  /** Of several splits of a Service the oldest counts. */
  #splitOf({ namespace, name }: Service, observer: Observer): TrafficSplit | undefined {
    return [...this.#policies.trafficSplitsByService.rows(idOf(namespace, name), observer)]
      .filter(({ problem }) => problem === undefined)
      .sort(byAge)[0]
  }
}
