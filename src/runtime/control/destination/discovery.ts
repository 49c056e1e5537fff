import type { MeshConfig } from '../cluster/config.ts'
import type { EndpointSlice, SliceEndpoint } from '../cluster/endpoint-slice.ts'
import { ownerOfPod } from '../cluster/owner.ts'
import type { Pod } from '../cluster/pod.ts'
import { type Computed, ComputedMap, type Observer } from '../cluster/reactive.ts'
import { selectServer } from '../cluster/server.ts'
import type { Service } from '../cluster/service.ts'
import type { ClusterState } from '../cluster/state.ts'
import { idOf } from '../cluster/table.ts'
import {
  describeBareEndpoint,
  describePodEndpoint,
  type Endpoint,
  isCurrent,
  isSecondaryAddress,
  type PodSurroundings,
  targetPort,
} from './endpoints.ts'
import { type Chunk, emptySnapshot, isEmpty, isSameSnapshot, makeChunk, type Snapshot } from './snapshot.ts'

/** A Service's port as one client sees it. */
export interface EndpointQuery {
  namespace: string
  name: string
  port: number
  /** One pod of a headless Service, by its host name. */
  instance?: string
  /** Node of the client. */
  node?: string
}

/** The same where only the client's zone matters, so that all clients of a zone share it. */
interface ZonedQuery {
  namespace: string
  name: string
  port: number
  instance?: string
  zone?: string
  /** Only endpoints on this node. */
  onNode?: string
}

interface ChunkQuery extends ZonedQuery {
  /** Id of the slice. */
  slice: string
  /** Only endpoints hinted for this zone. */
  hintedFor?: string
}

/** What a client may be told about a name. */
export type Resolution = { kind: 'external-name' } | { kind: 'endpoints'; snapshot: Snapshot }

/** Endpoints of Services, kept up to date for as long as somebody reads them. */
export class Discovery {
  readonly #state: ClusterState
  readonly #config: MeshConfig
  readonly #resolutions: ComputedMap<EndpointQuery, Resolution>
  readonly #snapshots: ComputedMap<ZonedQuery, Snapshot>
  readonly #chunks: ComputedMap<ChunkQuery, Chunk>

  constructor(state: ClusterState, config: MeshConfig) {
    this.#state = state
    this.#config = config
    this.#resolutions = new ComputedMap((query, observer) => this.#resolve(query, observer), isSameResolution)
    this.#snapshots = new ComputedMap((query, observer) => this.#collect(query, observer), isSameSnapshot)
    this.#chunks = new ComputedMap((query, observer, former) => this.#describeSlice(query, observer, former))
  }

  /** The endpoints of a Service's port, from the point of view of a client. */
  endpoints(query: EndpointQuery): Computed<Resolution> {
    return this.#resolutions.of(query)
  }

  /** What an endpoint needs to know beyond its pod. */
  surroundings(
    pod: Pod,
    port: number,
    zones: { zone?: string; clientZone?: string },
    observer: Observer,
  ): PodSurroundings {
    const servers = this.#state.serversByNamespace.rows(pod.namespace, observer)
    const server = selectServer(servers, pod, port, this.#config.controlPlaneNamespace)
    const owner = ownerOfPod(pod, this.#state, observer)
    const zone = zones.zone ?? this.zoneOf(pod.node, observer)
    return {
      ...(owner === undefined ? {} : { owner }),
      ...(server === undefined ? {} : { server }),
      ...(zone === undefined ? {} : { zone }),
      ...(zones.clientZone === undefined ? {} : { clientZone: zones.clientZone }),
    }
  }

  /** The zone of a node. */
  zoneOf(node: string | undefined, observer: Observer): string | undefined {
    return node === undefined ? undefined : this.#state.nodes.get(node, observer)?.zone
  }

  #resolve(query: EndpointQuery, observer: Observer): Resolution {
    const { node, ...target } = query
    const service = this.#state.services.get(idOf(query.namespace, query.name), observer)
    if (service?.isExternalName === true) return { kind: 'external-name' }
    const zone = this.zoneOf(node, observer)
    const snapshot = this.#snapshots.of({
      ...target,
      ...(zone === undefined ? {} : { zone }),
      ...(service?.isNodeLocal === true ? { onNode: node ?? '' } : {}),
    })
    return { kind: 'endpoints', snapshot: snapshot.read(observer) }
  }

  #collect(query: ZonedQuery, observer: Observer): Snapshot {
    const id = idOf(query.namespace, query.name)
    if (this.#state.services.get(id, observer) === undefined) return emptySnapshot
    const slices = [...this.#state.slicesByService.rows(id, observer)].sort((left, right) =>
      left.name < right.name ? -1 : 1,
    )
    const read = (hintedFor?: string): Snapshot => ({
      exists: true,
      chunks: slices.map((slice) =>
        this.#chunks
          .of({
            ...query,
            slice: idOf(slice.namespace, slice.name),
            ...(hintedFor === undefined ? {} : { hintedFor }),
          })
          .read(observer),
      ),
    })
    // Hints count only where every endpoint has one, and never to the point that nothing is left (KEP-2433).
    if (query.zone !== undefined && slices.every(({ isHinted }) => isHinted)) {
      const hinted = read(query.zone)
      if (!isEmpty(hinted)) return hinted
    }
    return read()
  }

  #describeSlice(query: ChunkQuery, observer: Observer, former: Chunk | undefined): Chunk {
    const service = this.#state.services.get(idOf(query.namespace, query.name), observer)
    const slice = this.#state.slices.get(query.slice, observer)
    const port = service && slice && targetPort(service, slice, query.port)
    if (service === undefined || slice === undefined || port === undefined) return makeChunk([], former)
    const endpoints = slice.endpoints
      .filter((endpoint) => isChosen(endpoint, query))
      .flatMap((endpoint) => this.#describe(endpoint, port, { query, service, slice }, observer) ?? [])
    return makeChunk(endpoints, former)
  }

  #describe(
    endpoint: SliceEndpoint,
    port: number,
    context: { query: ChunkQuery; service: Service; slice: EndpointSlice },
    observer: Observer,
  ): Endpoint | undefined {
    const { query, service, slice } = context
    if (!this.#config.isIpv6Enabled && endpoint.ip.includes(':')) return undefined
    if (endpoint.pod === undefined)
      return describeBareEndpoint(slice, endpoint.ip, { target: port, service: query.port }, this.#config)
    const pod = this.#state.pods.get(idOf(endpoint.pod.namespace, endpoint.pod.name), observer)
    // A pod that is not known yet might be meshed: nothing is sent to it in clear before that is settled.
    if (pod === undefined || !isCurrent(endpoint, pod)) return undefined
    if (isSecondaryAddress(endpoint.ip, pod, service, this.#config)) return undefined
    const zones = {
      ...(endpoint.zone === undefined ? {} : { zone: endpoint.zone }),
      ...(query.zone === undefined ? {} : { clientZone: query.zone }),
    }
    const around = this.surroundings(pod, port, zones, observer)
    return describePodEndpoint(pod, endpoint.ip, port, around, this.#config)
  }
}

function isChosen(endpoint: SliceEndpoint, query: ChunkQuery): boolean {
  if (query.instance !== undefined && endpoint.hostname !== query.instance) return false
  if (query.onNode !== undefined && endpoint.node !== query.onNode) return false
  return query.hintedFor === undefined || endpoint.hintedZones?.includes(query.hintedFor) === true
}

function isSameResolution(left: Resolution, right: Resolution): boolean {
  if (left.kind === 'external-name' || right.kind === 'external-name') return left.kind === right.kind
  return left.snapshot === right.snapshot
}
