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
import type { ServiceProfile } from './service-profile.ts'
import type { DestinationState } from './state.ts'

/** What a client is told about a destination as a whole. */
export type Profile =
  | ServiceRow
  | { kind: 'endpoint'; endpoint: Endpoint; isOpaque: boolean }
  /** Nothing is known of it; policy decides. */
  | { kind: 'empty' }
  | { kind: 'external-name' }
  /** More than one running pod claims the address. */
  | { kind: 'conflict'; pods: readonly string[] }

/** A Service's port. */
interface ServiceRow {
  kind: 'service'
  namespace: string
  name: string
  port: number
  isOpaque: boolean
  serviceProfile?: ServiceProfile
}

/** A destination, and where the client is. */
export interface ProfileQuery {
  destination: Destination
  node?: string
  /** Namespace of the client: its ServiceProfiles come before those of the Service. */
  namespace?: string
}

type Client = Omit<ProfileQuery, 'destination'>

/** Profiles, kept up to date for as long as somebody reads them. */
export class Profiles {
  readonly #state: ClusterState
  readonly #config: MeshConfig
  readonly #discovery: Discovery
  readonly #own: DestinationState
  readonly #profiles: ComputedMap<ProfileQuery, Profile>

  constructor(state: ClusterState, own: DestinationState, config: MeshConfig, discovery: Discovery) {
    this.#state = state
    this.#own = own
    this.#config = config
    this.#discovery = discovery
    this.#profiles = new ComputedMap((query, observer) => this.#profile(query, observer), isDeepStrictEqual)
  }

  of(query: ProfileQuery): Computed<Profile> {
    return this.#profiles.of(query)
  }

  #profile({ destination, ...client }: ProfileQuery, observer: Observer): Profile {
    if (destination.kind === 'address') return this.#ofAddress(destination, client, observer)
    const { namespace, name, port, instance } = destination
    const service = this.#state.services.get(idOf(namespace, name), observer)
    if (service?.isExternalName === true) return { kind: 'external-name' }
    if (instance !== undefined) return this.#ofInstance(destination, client.node, observer)
    if (service === undefined) {
      const isOpaque = portSetHas(this.#config.defaultOpaquePorts, port)
      return { kind: 'service', namespace, name, port, isOpaque }
    }
    return this.#ofService(service, port, client, observer)
  }

  #ofService(service: Service, port: number, client: Client, observer: Observer): Profile {
    if (!service.ports.some(({ number }) => number === port)) return { kind: 'empty' }
    const { namespace, name } = service
    const serviceProfile = this.#serviceProfileOf(service, client, observer)
    const defaults = serviceProfile?.opaquePorts ?? this.#config.defaultOpaquePorts
    return {
      kind: 'service',
      namespace,
      name,
      port,
      isOpaque: isServicePortOpaque(service, port, defaults),
      ...(serviceProfile === undefined ? {} : { serviceProfile }),
    }
  }

  #serviceProfileOf(service: Service, client: Client, observer: Observer): ServiceProfile | undefined {
    const name = `${service.name}.${service.namespace}.svc.${this.#config.clusterDomain}`
    const inNamespace = (namespace: string) => this.#own.serviceProfiles.get(idOf(namespace, name), observer)
    const ofClient = client.namespace === undefined ? undefined : inNamespace(client.namespace)
    return ofClient ?? inNamespace(service.namespace)
  }

  #ofAddress({ ip, port }: { ip: string; port: number }, client: Client, observer: Observer): Profile {
    const [service] = this.#state.servicesByIp.rows(ip, observer)
    if (service !== undefined) return this.#ofService(service, port, client, observer)
    const pods = this.#state.podsByIp.rows(ip, observer)
    if (pods.length > 0) return this.#ofPod(pods, ip, port, client.node, observer)
    const behindHost = this.#state.podsByHostPort.rows(`${ip}:${port}`, observer)
    const declared = behindHost[0]?.ports.find(({ hostPort }) => hostPort === port)
    const podIp = behindHost[0]?.ips[0]
    if (declared !== undefined && podIp !== undefined) {
      return this.#ofPod(behindHost, podIp, declared.number, client.node, observer)
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
