import { isDeepStrictEqual } from 'node:util'
import type { Destination, ServiceDestination } from '../cluster/authority.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { isPodPortOpaque, isServicePortOpaque } from '../cluster/opaque.ts'
import type { Pod } from '../cluster/pod.ts'
import { portSetHas } from '../cluster/port-set.ts'
import { type Computed, ComputedMap, type Observer } from '../cluster/reactive.ts'
import type { Service } from '../cluster/service.ts'
import type { ClusterState } from '../cluster/state.ts'
import { idOf } from '../cluster/table.ts'
import type { Discovery } from './discovery.ts'
import { describePodEndpoint, type Endpoint } from './endpoints.ts'

/** What a client is told about a destination as a whole. */
export type Profile =
  | { kind: 'service'; namespace: string; name: string; port: number; isOpaque: boolean }
  | { kind: 'endpoint'; endpoint: Endpoint; isOpaque: boolean }
  /** Nothing is known of it; policy decides. */
  | { kind: 'empty' }
  | { kind: 'external-name' }
  /** More than one running pod claims the address. */
  | { kind: 'conflict'; pods: readonly string[] }

/** A destination, and the node of who asks. */
export interface ProfileQuery {
  destination: Destination
  node?: string
}

/** Profiles, kept up to date for as long as somebody reads them. */
export class Profiles {
  readonly #state: ClusterState
  readonly #config: MeshConfig
  readonly #discovery: Discovery
  readonly #profiles: ComputedMap<ProfileQuery, Profile>

  constructor(state: ClusterState, config: MeshConfig, discovery: Discovery) {
    this.#state = state
    this.#config = config
    this.#discovery = discovery
    this.#profiles = new ComputedMap((query, observer) => this.#profile(query, observer), isDeepStrictEqual)
  }

  of(query: ProfileQuery): Computed<Profile> {
    return this.#profiles.of(query)
  }

  #profile({ destination, node }: ProfileQuery, observer: Observer): Profile {
    if (destination.kind === 'address') return this.#ofAddress(destination, node, observer)
    const { namespace, name, port, instance } = destination
    const service = this.#state.services.get(idOf(namespace, name), observer)
    if (service?.isExternalName === true) return { kind: 'external-name' }
    if (instance !== undefined) return this.#ofInstance(destination, node, observer)
    if (service === undefined) {
      const isOpaque = portSetHas(this.#config.defaultOpaquePorts, port)
      return { kind: 'service', namespace, name, port, isOpaque }
    }
    return this.#ofService(service, port)
  }

  #ofService(service: Service, port: number): Profile {
    if (!service.ports.some(({ number }) => number === port)) return { kind: 'empty' }
    const isOpaque = isServicePortOpaque(service, port, this.#config.defaultOpaquePorts)
    return { kind: 'service', namespace: service.namespace, name: service.name, port, isOpaque }
  }

  #ofAddress(
    { ip, port }: { ip: string; port: number },
    node: string | undefined,
    observer: Observer,
  ): Profile {
    const [service] = this.#state.servicesByIp.rows(ip, observer)
    if (service !== undefined) return this.#ofService(service, port)
    const pods = this.#state.podsByIp.rows(ip, observer)
    if (pods.length > 0) return this.#ofPod(pods, ip, port, node, observer)
    const behindHost = this.#state.podsByHostPort.rows(`${ip}:${port}`, observer)
    const declared = behindHost[0]?.ports.find(({ hostPort }) => hostPort === port)
    const podIp = behindHost[0]?.ips[0]
    if (declared !== undefined && podIp !== undefined) {
      return this.#ofPod(behindHost, podIp, declared.number, node, observer)
    }
    const isOpaque = portSetHas(this.#config.defaultOpaquePorts, port)
    return { kind: 'endpoint', endpoint: { ip, port, labels: {} }, isOpaque }
  }

  #ofPod(
    pods: readonly Pod[],
    ip: string,
    port: number,
    node: string | undefined,
    observer: Observer,
  ): Profile {
    const [pod] = pods
    if (pod === undefined) return { kind: 'empty' }
    if (pods.length > 1) {
      return { kind: 'conflict', pods: pods.map(({ namespace, name }) => idOf(namespace, name)).sort() }
    }
    const clientZone = this.#discovery.zoneOf(node, observer)
    const zones = clientZone === undefined ? {} : { clientZone }
    const around = this.#discovery.surroundings(pod, port, zones, observer)
    const endpoint = describePodEndpoint(pod, ip, port, around, this.#config)
    // Get names the namespace once for the whole set; here the endpoint stands alone.
    const labels = { ...endpoint.labels, namespace: pod.namespace }
    const isOpaque = isPodPortOpaque(pod, port, around.server, this.#config.defaultOpaquePorts)
    return { kind: 'endpoint', endpoint: { ...endpoint, labels }, isOpaque }
  }

  /** One pod of a headless Service, by the name that a StatefulSet gave it. */
  #ofInstance(destination: ServiceDestination, node: string | undefined, observer: Observer): Profile {
    const { kind: _, ...target } = destination
    const query = { ...target, ...(node === undefined ? {} : { node }) }
    const resolution = this.#discovery.endpoints(query).read(observer)
    if (resolution.kind === 'external-name') return resolution
    const endpoint = resolution.snapshot.chunks.flatMap((chunk) => [...chunk.values()])[0]
    if (endpoint?.pod === undefined) return { kind: 'empty' }
    const pod = this.#state.pods.get(idOf(endpoint.pod.namespace, endpoint.pod.name), observer)
    if (pod === undefined) return { kind: 'empty' }
    return this.#ofPod([pod], endpoint.ip, endpoint.port, node, observer)
  }
}
