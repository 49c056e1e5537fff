import type { ResourceRef, StatKind } from '../../shared/viz-api.ts'
import type { Series } from './history.ts'
import type { VizPod } from './pod.ts'

/** Which object a row is about. */
export interface Place {
  /** Null for a namespace. */
  namespace: string | null
  name: string
}

/** The object of a kind that the pod belongs to. */
export function placeOfPod(pod: VizPod, kind: StatKind): Place {
  if (kind === 'namespace') return { namespace: null, name: pod.namespace }
  return { namespace: pod.namespace, name: ownName(pod, kind) ?? '' }
}

/** Name of the object of a kind that the pod belongs to. */
export function ownName(pod: VizPod, kind: StatKind): string | undefined {
  if (kind === 'namespace') return pod.namespace
  if (kind === 'pod') return pod.name
  return kind === 'service' ? undefined : pod.owners[kind]
}

/** Whether the pod belongs to what was named. */
export function podMatches(pod: VizPod, ref: ResourceRef): boolean {
  const name = ownName(pod, ref.kind)
  if (name === undefined || (ref.name !== undefined && ref.name !== name)) return false
  return ref.namespace === undefined || ref.kind === 'namespace' || ref.namespace === pod.namespace
}

/** Where an outbound series leads to, by the labels that destination gave it. */
export function placeOfSeries(labels: Series['labels'], kind: StatKind): Place | undefined {
  const namespace = labels.dst_namespace
  if (namespace === undefined) return undefined
  if (kind === 'namespace') return { namespace: null, name: namespace }
  const name = labels[`dst_${kind}`]
  return name === undefined ? undefined : { namespace, name }
}

/** Whether an outbound series leads to what was named. */
export function seriesLeadsTo(labels: Series['labels'], ref: ResourceRef): boolean {
  const place = placeOfSeries(labels, ref.kind)
  if (place === undefined || (ref.name !== undefined && ref.name !== place.name)) return false
  return ref.namespace === undefined || ref.kind === 'namespace' || ref.namespace === place.namespace
}

/** Orders lists of names. */
export function compareNames(a: readonly string[], b: readonly string[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? ''
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}
