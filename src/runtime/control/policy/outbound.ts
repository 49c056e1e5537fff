import { isDeepStrictEqual } from 'node:util'
import type { MeshConfig } from '../cluster/config.ts'
import { networkContains, parseIp } from '../cluster/ip.ts'
import { isServicePortOpaque } from '../cluster/opaque.ts'
import { type Computed, ComputedMap, type Observer } from '../cluster/reactive.ts'
import type { Service, ServicePort } from '../cluster/service.ts'
import type { ClusterState } from '../cluster/state.ts'
import { idOf } from '../cluster/table.ts'
import type { Meta } from './meta.ts'
import type { Backend, HttpRoute, OpaqueRoute, OutboundPolicy } from './outbound-policy.ts'

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

/** Policies towards targets, kept up to date for as long as somebody reads them. */
export class OutboundPolicies {
  readonly #cluster: ClusterState
  readonly #config: MeshConfig
  readonly #targets: ComputedMap<OutboundQuery, OutboundResult>

  constructor(cluster: ClusterState, config: MeshConfig) {
    this.#cluster = cluster
    this.#config = config
    this.#targets = new ComputedMap((query, observer) => this.#compute(query, observer), isDeepStrictEqual)
  }

  of(query: OutboundQuery): Computed<OutboundResult> {
    return this.#targets.of(query)
  }

  #compute({ target }: OutboundQuery, observer: Observer): OutboundResult {
    if (target.kind === 'address') return this.#ofAddress(target.ip, target.port, observer)
    const service = this.#cluster.services.get(idOf(target.namespace, target.name), observer)
    if (service === undefined) {
      return { kind: 'unknown', reason: `there is no Service ${target.namespace}/${target.name}` }
    }
    if (service.isExternalName) return { kind: 'external-name' }
    return { kind: 'policy', policy: servicePolicy(service, target.port, this.#config) }
  }

  #ofAddress(ip: string, port: number, observer: Observer): OutboundResult {
    const [service] = this.#cluster.servicesByIp.rows(ip, observer)
    if (service !== undefined) return { kind: 'policy', policy: servicePolicy(service, port, this.#config) }
    const address = parseIp(ip)
    if (
      address !== undefined &&
      this.#config.clusterNetworks.some((each) => networkContains(each, address))
    ) {
      return { kind: 'unknown', reason: `no Service has the address ${ip}` }
    }
    return { kind: 'policy', policy: egressFallback(ip, port) }
  }
}

/** What a Service's port does when no route is attached to it. */
export function servicePolicy(service: Service, port: number, config: MeshConfig): OutboundPolicy {
  const meta = serviceMeta(service, port)
  const declared = service.ports.find(({ number }) => number === port)
  if (declared === undefined && !service.isHeadless) return forbidden(meta)
  const backend: Backend = {
    meta,
    kind: 'balancer',
    path: `${service.name}.${service.namespace}.svc.${config.clusterDomain}:${port}`,
  }
  const isOpaque = isServicePortOpaque(service, port, config.defaultOpaquePorts)
  return { meta, protocol: serviceProtocol(declared, isOpaque), ...plainRoutes(backend) }
}

/** `appProtocol` decides before the opaque ports do; one that is not known is not looked into. */
function serviceProtocol(port: ServicePort | undefined, isOpaque: boolean): OutboundPolicy['protocol'] {
  switch (port?.appProtocol) {
    case undefined:
      return isOpaque ? 'opaque' : 'detect'
    case 'http':
      return 'http1'
    case 'kubernetes.io/h2c':
      return 'http2'
    default:
      return 'opaque'
  }
}

/** A port that the Service does not have. */
function forbidden(meta: Meta): OutboundPolicy {
  const route: OpaqueRoute = {
    meta: { kind: 'default', name: 'opaq' },
    rules: [{ backends: { kind: 'empty' }, filters: [{ kind: 'forbidden' }] }],
  }
  return { meta, protocol: 'opaque', httpRoutes: [], opaqueRoutes: [route] }
}

/** An address outside the cluster that no policy speaks of: detect, and forward. */
function egressFallback(ip: string, port: number): OutboundPolicy {
  const meta: Meta = { kind: 'default', name: 'egress-fallback' }
  return { meta, protocol: 'detect', ...plainRoutes({ meta, kind: 'forward', ip, port }) }
}

function plainRoutes(backend: Backend): { httpRoutes: HttpRoute[]; opaqueRoutes: OpaqueRoute[] } {
  const backends = { kind: 'first-available' as const, backends: [{ backend }] }
  return {
    httpRoutes: [
      {
        meta: { kind: 'default', name: 'http' },
        rules: [{ matches: [{ path: { kind: 'prefix', value: '/' } }], backends }],
      },
    ],
    opaqueRoutes: [{ meta: { kind: 'default', name: 'opaq' }, rules: [{ backends, filters: [] }] }],
  }
}

export function serviceMeta({ namespace, name }: { namespace: string; name: string }, port: number): Meta {
  return { kind: 'resource', group: 'core', resourceKind: 'Service', namespace, name, port }
}
