import { valueAt } from './json.ts'
import type { StoredObject } from './objects.ts'
import { conflict, type ResourceName } from './status.ts'

/** What happens to the objects that name the deleted one as their owner. */
export type Propagation = 'Background' | 'Foreground' | 'Orphan'

/** The `DeleteOptions` of the API. */
export interface DeleteOptions {
  gracePeriodSeconds?: number
  propagationPolicy?: Propagation
  preconditions?: { uid?: string; resourceVersion?: string }
}

const propagationFinalizers: Record<Propagation, string | undefined> = {
  Background: undefined,
  Foreground: 'foregroundDeletion',
  Orphan: 'orphan',
}

/** Whether something still holds the object back: finalizers, or what a namespace contains. */
export function isHeld(object: StoredObject): boolean {
  if ((object.metadata.finalizers ?? []).length > 0) return true
  const inNamespace = object.kind === 'Namespace' ? valueAt(object, ['spec', 'finalizers']) : undefined
  return Array.isArray(inNamespace) && inNamespace.length > 0
}

/**
 * Seconds that the node agent has to stop a pod; zero for everything else, for pods that never got a node and for
 * pods that have ended.
 */
export function gracePeriodOf(object: StoredObject, requested: number | undefined): number {
  if (object.kind !== 'Pod') return 0
  const phase = valueAt(object, ['status', 'phase'])
  if (!valueAt(object, ['spec', 'nodeName']) || phase === 'Succeeded' || phase === 'Failed') return 0
  const own = valueAt(object, ['spec', 'terminationGracePeriodSeconds'])
  const grace = requested ?? (typeof own === 'number' ? own : 30)
  return Math.max(0, grace)
}

/** Whether the object goes away at once when it is marked like this. */
export function isDeletable(object: StoredObject): boolean {
  return (
    object.metadata.deletionTimestamp !== undefined &&
    (object.metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    !isHeld(object)
  )
}

/**
 * Marks an object as being deleted. Marking it again can only shorten the grace period.
 * @param nowMs milliseconds since the epoch
 */
export function markDeleted(object: StoredObject, options: DeleteOptions, nowMs: number): StoredObject {
  const meta = { ...object.metadata }
  const grace = gracePeriodOf(object, options.gracePeriodSeconds)
  const finalizer = propagationFinalizers[options.propagationPolicy ?? 'Background']
  if (finalizer !== undefined && !meta.finalizers?.includes(finalizer)) {
    meta.finalizers = [...(meta.finalizers ?? []), finalizer]
  }
  const before = meta.deletionTimestamp === undefined ? undefined : (meta.deletionGracePeriodSeconds ?? 0)
  if (before === undefined || grace < before) {
    meta.deletionTimestamp = timestamp(nowMs + grace * 1000)
    meta.deletionGracePeriodSeconds = grace
    if (before === undefined && meta.generation !== undefined) meta.generation += 1
  }
  const marked: StoredObject = { ...object, metadata: meta }
  if (object.kind === 'Namespace') {
    marked.status = { ...(object.status as object | undefined), phase: 'Terminating' }
  }
  return marked
}

/** RFC 3339 in whole seconds, as the API writes times. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/**
 * Checks that a deletion means the object that is there.
 * @throws KubeError 409
 */
export function checkPreconditions(
  resource: ResourceName,
  current: StoredObject,
  options: DeleteOptions,
): void {
  const { uid, resourceVersion } = options.preconditions ?? {}
  if (uid !== undefined && uid !== current.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`
    throw conflict(resource, current.metadata.name, why)
  }
  if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${current.metadata.resourceVersion}`
    throw conflict(resource, current.metadata.name, why)
  }
}
