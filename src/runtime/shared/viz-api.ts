/**
 * What `mesh viz` and metrics-api say to each other: JSON over HTTP on port 8085, all of it `GET`.
 *
 * | Path | Query | Answer |
 * | --- | --- | --- |
 * | `/api/v1/stat` | {@link StatQuery} by {@link encodeStatQuery} | {@link StatAnswer} |
 * | `/api/v1/edges` | {@link EdgesQuery} by {@link encodeEdgesQuery} | {@link EdgesAnswer} |
 * | `/api/v1/targets` | – | {@link TargetsAnswer} |
 *
 * An error is a status of 400 or above with a {@link VizErrorAnswer}.
 */
export const vizApiPort = 8085
/** Name of the Service, of the Deployment and of the component. */
export const vizApiName = 'metrics-api'
export const vizNamespace = 'linkerd-viz'

/** Kinds that own pods. */
export const workloadKinds = [
  'deployment',
  'daemonset',
  'statefulset',
  'replicaset',
  'replicationcontroller',
  'job',
  'cronjob',
] as const

/** Kinds that golden metrics are shown for. */
export const statKinds = [...workloadKinds, 'pod', 'namespace', 'service'] as const

export type WorkloadKind = (typeof workloadKinds)[number]
export type StatKind = (typeof statKinds)[number]

/** One object, or all of a kind. */
export interface ResourceRef {
  kind: StatKind
  /** All namespaces when absent. Absent for a namespace itself. */
  namespace?: string
  /** All of the kind when absent. */
  name?: string
}

export interface StatQuery {
  target: ResourceRef
  /** Length of time to look back over, from {@link minWindowMs} to {@link maxWindowMs}. */
  windowMs: number
  /** Traffic from the target to this, as the target sees it. */
  to?: ResourceRef
  /** Traffic from this to the target, as this sees it. */
  from?: ResourceRef
  /** Looks only at pods with these labels, in the grammar of `kubectl -l`. */
  selector?: string
}

/** The shortest window: a rate needs at least two scrapes. */
export const minWindowMs = 15_000
/** The longest window, which is what is kept. */
export const maxWindowMs = 3_600_000

/** Golden metrics of one object. Numbers are null where there was nothing to count. */
export interface StatRow {
  kind: StatKind
  /** Null for a namespace. */
  namespace: string | null
  name: string
  /** Of a pod: what `kubectl get pod` calls STATUS. */
  status: string | null
  /** Pods with a proxy, of all pods that run or will. Null for a service. */
  pods: { meshed: number; total: number } | null
  /** Responses that were no failure, from 0 to 1. */
  successRate: number | null
  /** Responses a second. */
  rps: number | null
  /** Milliseconds until the response began. */
  latencyMs: { p50: number; p95: number; p99: number } | null
  tcp: {
    /** Connections open at the last scrape. */
    openConnections: number
    /** Bytes a second. */
    readBytesRate: number
    writeBytesRate: number
  } | null
}

export interface StatAnswer {
  /** Sorted by namespace and name. */
  rows: StatRow[]
}

export interface EdgesQuery {
  kind: WorkloadKind | 'pod' | 'namespace'
  /** Edges that begin or end in it; all when absent. */
  namespace?: string
}

/** Connections from one object to another, as the proxy of the first sees them. */
export interface EdgeRow {
  src: string
  srcNamespace: string
  dst: string
  dstNamespace: string
  /** The identity that the server verified, as it was measured there. Null when the edge is not secured. */
  clientId: string | null
  /** The identity that the client verified. Null when the edge is not secured. */
  serverId: string | null
  /** Why the edge is not secured; null when it is. */
  noTlsReason: string | null
}

export interface EdgesAnswer {
  /** Sorted by source and destination. */
  edges: EdgeRow[]
}

/** How scraping goes. */
export interface TargetsAnswer {
  targets: {
    namespace: string
    pod: string
    /** Null before the first success. */
    lastScrapeMs: number | null
    /** Of the last attempt; null when it went well. */
    error: string | null
    series: number
    /** Series not kept because of the limits. */
    droppedSeries: number
  }[]
}

export interface VizErrorAnswer {
  error: { code: `MESH_${string}`; message: string }
}

/** The query part of `/api/v1/stat`. */
export function encodeStatQuery(query: StatQuery): URLSearchParams {
  const parameters = new URLSearchParams({ window_ms: String(query.windowMs) })
  encodeRef(parameters, '', query.target)
  if (query.to !== undefined) encodeRef(parameters, 'to_', query.to)
  if (query.from !== undefined) encodeRef(parameters, 'from_', query.from)
  if (query.selector !== undefined) parameters.set('selector', query.selector)
  return parameters
}

/** The query part of `/api/v1/edges`. */
export function encodeEdgesQuery(query: EdgesQuery): URLSearchParams {
  const parameters = new URLSearchParams({ kind: query.kind })
  if (query.namespace !== undefined) parameters.set('namespace', query.namespace)
  return parameters
}

function encodeRef(parameters: URLSearchParams, prefix: string, ref: ResourceRef): void {
  parameters.set(`${prefix}kind`, ref.kind)
  if (ref.namespace !== undefined) parameters.set(`${prefix}namespace`, ref.namespace)
  if (ref.name !== undefined) parameters.set(`${prefix}name`, ref.name)
}

/** @throws {RangeError} saying which parameter is wrong and what it may be */
export function decodeStatQuery(parameters: URLSearchParams): StatQuery {
  const target = decodeRef(parameters, '')
  if (target === undefined) throw new RangeError('the parameter kind is missing')
  const windowMs = Number(parameters.get('window_ms') ?? '60000')
  if (!Number.isFinite(windowMs) || windowMs < minWindowMs || windowMs > maxWindowMs) {
    throw new RangeError(`window_ms must be from ${minWindowMs} to ${maxWindowMs}`)
  }
  const to = decodeRef(parameters, 'to_')
  const from = decodeRef(parameters, 'from_')
  if (to !== undefined && from !== undefined) throw new RangeError('to and from exclude each other')
  if (from?.kind === 'service') throw new RangeError('from cannot be a service')
  const selector = parameters.get('selector')
  return {
    target,
    windowMs,
    ...(to === undefined ? {} : { to }),
    ...(from === undefined ? {} : { from }),
    ...(selector === null ? {} : { selector }),
  }
}

/** @throws {RangeError} saying which parameter is wrong and what it may be */
export function decodeEdgesQuery(parameters: URLSearchParams): EdgesQuery {
  const { kind, namespace } = decodeRef(parameters, '') ?? { kind: 'deployment' }
  if (kind === 'service') throw new RangeError('edges are between pods and what owns them, not services')
  return { kind, ...(namespace === undefined ? {} : { namespace }) }
}

function decodeRef(parameters: URLSearchParams, prefix: string): ResourceRef | undefined {
  const kind = parameters.get(`${prefix}kind`)
  if (kind === null) return undefined
  if (!isStatKind(kind)) throw new RangeError(`${prefix}kind must be one of ${statKinds.join(', ')}`)
  const namespace = parameters.get(`${prefix}namespace`)
  const name = parameters.get(`${prefix}name`)
  return {
    kind,
    ...(namespace === null || kind === 'namespace' ? {} : { namespace }),
    ...(name === null ? {} : { name }),
  }
}

function isStatKind(text: string): text is StatKind {
  return (statKinds as readonly string[]).includes(text)
}
