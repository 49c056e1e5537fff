import type { EdgeRow, EdgesQuery, ResourceRef, StatQuery, StatRow } from '../../shared/viz-api.ts'
import type { Reading, Series } from './history.ts'
import { type LabelTest, parseLabelSelector } from './label-selector.ts'
import {
  compareNames,
  ownName,
  type Place,
  placeOfPod,
  placeOfSeries,
  podMatches,
  seriesLeadsTo,
} from './place.ts'
import type { VizPod } from './pod.ts'
import { Row } from './row.ts'
import type { Target } from './state.ts'

/** A gauge of a scrape that is older says nothing about now. */
const staleMs = 30_000
/** How far back traffic makes an edge, besides connections that are open. */
const edgeWindowMs = 60_000

/**
 * Golden metrics of what was asked for. Which series count:
 *
 * | Asked | Proxy | Series | Row |
 * | --- | --- | --- | --- |
 * | workload, pod, namespace | its own | inbound | the target |
 * | `to` | of the target | outbound, `dst_*` is the peer | the target |
 * | `from` | of the peer | outbound | `dst_*` of the series |
 * | service | every | outbound | `dst_service` of the series |
 *
 * Probes of the kubelet count for nothing: an idle workload is idle, and a rate is of what clients ask for.
 *
 * Rates are over the part of the window that is known of, not over its nominal length, so that a workload that came
 * a moment ago has its true rate.
 *
 * @throws {RangeError} when the selector cannot be read
 */
export function computeStat(targets: Iterable<Target>, query: StatQuery, nowMs: number): StatRow[] {
  const accepts = query.selector === undefined ? () => true : parseLabelSelector(query.selector)
  const rows = new Map<string, Row>()
  const { target, to, from } = query
  const byPeer = from !== undefined || target.kind === 'service'
  const all = [...targets]
  for (const each of all) {
    if (!byPeer) addOwn(rows, each, target, to, { accepts, windowMs: query.windowMs, nowMs })
    else if (from === undefined || podMatches(each.pod, from)) {
      addByPeer(rows, each, target, { accepts, windowMs: query.windowMs, nowMs })
    }
  }
  if (from !== undefined) for (const each of all) countPod(rows, each, target, accepts)
  return [...rows.values()]
    .filter((row) => target.kind !== 'pod' || !row.isGone)
    .map((row) => row.toStat(target.kind))
    .sort((a, b) => compareNames([a.namespace ?? '', a.name], [b.namespace ?? '', b.name]))
}

interface Scope {
  accepts: LabelTest
  windowMs: number
  nowMs: number
}

function addOwn(
  rows: Map<string, Row>,
  each: Target,
  target: ResourceRef,
  to: ResourceRef | undefined,
  scope: Scope,
): void {
  if (!podMatches(each.pod, target) || !scope.accepts(each.pod.labels)) return
  const row = rowOf(rows, placeOfPod(each.pod, target.kind))
  row.countPod(each)
  const direction = to === undefined ? 'inbound' : 'outbound'
  addTraffic(each, scope, ({ labels }) => {
    const isWanted = labels.direction === direction && (to === undefined || seriesLeadsTo(labels, to))
    return isWanted ? row : undefined
  })
}

function addByPeer(rows: Map<string, Row>, each: Target, target: ResourceRef, scope: Scope): void {
  addTraffic(each, scope, ({ labels }) => {
    if (labels.direction !== 'outbound' || !seriesLeadsTo(labels, target)) return undefined
    const place = placeOfSeries(labels, target.kind)
    return place === undefined ? undefined : rowOf(rows, place)
  })
}

/** Counts a pod in the row that it belongs to, if there is one: without traffic from the peer there is none. */
function countPod(rows: Map<string, Row>, each: Target, target: ResourceRef, accepts: LabelTest): void {
  if (!podMatches(each.pod, target) || !accepts(each.pod.labels)) return
  rows.get(keyOf(placeOfPod(each.pod, target.kind)))?.countPod(each)
}

/** Gives every series of a proxy that moved in the window to the row that it belongs to. */
function addTraffic(each: Target, scope: Scope, choose: (series: Series) => Row | undefined): void {
  const fromMs = scope.nowMs - scope.windowMs
  const covered = each.history.coverage(fromMs, scope.nowMs)
  if (covered === undefined) return
  const isLive = !each.isGone && covered.toMs > scope.nowMs - staleMs
  for (const reading of each.history.read(fromMs, scope.nowMs, () => true)) {
    if (isProbe(reading.series)) continue
    const row = choose(reading.series)
    row?.cover(covered)
    row?.add(reading, isLive)
  }
}

/** Requests on the route that policy makes for the probes of the pod. */
function isProbe({ labels }: Series): boolean {
  return labels.route_kind === 'default' && labels.route_name === 'probe'
}

function keyOf(place: Place): string {
  return JSON.stringify([place.namespace, place.name])
}

function rowOf(rows: Map<string, Row>, place: Place): Row {
  const key = keyOf(place)
  const known = rows.get(key)
  if (known !== undefined) return known
  const row = new Row(place)
  rows.set(key, row)
  return row
}

/**
 * Who talks to whom: an edge for each pair between which a connection is open or bytes went in the last minute.
 * The server's identity is what the client's proxy verified; the client's is what the server's proxy verified.
 */
export function computeEdges(targets: Iterable<Target>, query: EdgesQuery, nowMs: number): EdgeRow[] {
  const all = [...targets].filter(({ isGone }) => !isGone)
  const clientIds = clientIdsSeen(all, query.kind, nowMs)
  const edges = new Map<string, EdgeRow>()
  for (const each of all) {
    const name = ownName(each.pod, query.kind)
    if (name === undefined) continue
    for (const reading of activeTcp(each, 'outbound', nowMs)) {
      const { labels } = reading.series
      const dst = placeOfSeries(labels, query.kind)
      if (dst === undefined) continue
      const edge = edgeOf(each.pod, name, dst, labels)
      const seen = clientIds.get(JSON.stringify([edge.dstNamespace, edge.dst])) ?? new Set()
      const prefix = `${each.pod.serviceAccount}.${each.pod.namespace}.`
      const clientId = edge.serverId === null ? null : ([...seen].find((id) => id.startsWith(prefix)) ?? null)
      edges.set(JSON.stringify(edge), { ...edge, clientId })
    }
  }
  const { namespace } = query
  return [...edges.values()]
    .filter((e) => namespace === undefined || e.srcNamespace === namespace || e.dstNamespace === namespace)
    .sort((a, b) =>
      compareNames(
        [a.srcNamespace, a.src, a.dstNamespace, a.dst],
        [b.srcNamespace, b.src, b.dstNamespace, b.dst],
      ),
    )
}

function edgeOf(pod: VizPod, name: string, dst: Place, labels: Series['labels']): EdgeRow {
  const isSecured = labels.tls === 'true'
  return {
    src: name,
    srcNamespace: pod.namespace,
    dst: dst.name,
    dstNamespace: dst.namespace ?? dst.name,
    clientId: null,
    serverId: isSecured ? (labels.server_id ?? null) : null,
    noTlsReason: isSecured ? null : (labels.no_tls_reason ?? labels.tls ?? 'unknown'),
  }
}

/** By destination, the client identities that its proxies verified. */
function clientIdsSeen(
  targets: readonly Target[],
  kind: EdgesQuery['kind'],
  nowMs: number,
): Map<string, Set<string>> {
  const seen = new Map<string, Set<string>>()
  for (const each of targets) {
    const name = ownName(each.pod, kind)
    if (name === undefined) continue
    const key = JSON.stringify([each.pod.namespace, name])
    for (const { series } of activeTcp(each, 'inbound', nowMs)) {
      const id = series.labels.client_id
      if (id === undefined || id === '') continue
      const ids = seen.get(key) ?? new Set()
      seen.set(key, ids.add(id))
    }
  }
  return seen
}

/** TCP series of one direction with a connection open now, or bytes in the last minute. */
function* activeTcp(each: Target, direction: string, nowMs: number): Iterable<Reading> {
  const isLive = (each.history.lastMs ?? 0) > nowMs - staleMs
  const readings = each.history.read(nowMs - edgeWindowMs, nowMs, (name) => name.startsWith('tcp_'))
  for (const reading of readings) {
    const isOpen = isLive && reading.series.name === 'tcp_open_connections' && reading.last > 0
    if (reading.series.labels.direction === direction && (isOpen || reading.increase > 0)) yield reading
  }
}
