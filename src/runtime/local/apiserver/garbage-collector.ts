import type { OwnerReference } from '../../kube/types.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import { cloneJson } from './json.ts'
import type { StoredObject } from './objects.ts'
import { StatusError } from './status.ts'
import type { ResourceKey, Store } from './store.ts'
import type { Change } from './watch-log.ts'

interface Dependent {
  resource: ResourceKey
  name: string
  namespace: string | undefined
}

const foreground = 'foregroundDeletion'
const orphan = 'orphan'

function ownersOf(object: StoredObject | undefined): OwnerReference[] {
  return object?.metadata.ownerReferences ?? []
}

/**
 * Deletes the objects whose owners are gone: in the background, before the owner (`foregroundDeletion`), or not at all
 * (`orphan`). See https://kubernetes.io/docs/concepts/architecture/garbage-collection/.
 */
export class GarbageCollector {
  readonly #store: Store
  readonly #logger: Logger
  readonly #present = new Set<string>()
  /** Dependents by the uid of their owner, then by their own uid. */
  readonly #dependents = new Map<string, Map<string, Dependent>>()
  /** Owners that wait for their dependents, by uid. */
  readonly #waiting = new Map<string, Dependent>()
  readonly #stop: () => void

  constructor(store: Store, logger: Logger) {
    this.#store = store
    this.#logger = logger
    this.#stop = store.subscribe((resource, change) => this.#observe(resource, change))
  }

  close(): void {
    this.#stop()
  }

  #observe(resource: ResourceKey, change: Change): void {
    const { uid = '', name, namespace } = change.object.metadata
    if (change.type === 'DELETED') this.#present.delete(uid)
    else this.#present.add(uid)
    for (const owner of ownersOf(change.previous)) this.#dependents.get(owner.uid)?.delete(uid)
    if (change.type !== 'DELETED') {
      for (const owner of ownersOf(change.object)) {
        const dependents = this.#dependents.get(owner.uid) ?? new Map<string, Dependent>()
        this.#dependents.set(owner.uid, dependents.set(uid, { resource, name, namespace }))
      }
    }
    // After the change is told to everybody, so that events stay in order.
    queueMicrotask(() => this.#react(resource, change))
  }

  #react(resource: ResourceKey, change: Change): void {
    const { uid = '' } = change.object.metadata
    try {
      if (change.type === 'DELETED') {
        this.#afterOwner(uid)
        for (const owner of ownersOf(change.previous)) this.#finishForeground(owner.uid)
        return
      }
      const finalizers = change.object.metadata.finalizers ?? []
      if (change.object.metadata.deletionTimestamp !== undefined) {
        if (finalizers.includes(orphan)) this.#orphan(resource, change.object)
        if (finalizers.includes(foreground)) this.#deleteForeground(resource, change.object)
      } else if (ownersOf(change.object).length > 0) this.#collect(resource, change.object)
      for (const owner of ownersOf(change.previous)) this.#finishForeground(owner.uid)
    } catch (error) {
      const { name, namespace } = change.object.metadata
      this.#logger.error({ name, namespace, error: messageOf(error) }, 'garbage collection failed')
    }
  }

  /** Deletes an object when none of its owners is there any more. */
  #collect(resource: ResourceKey, object: StoredObject): void {
    const { name, namespace, uid } = object.metadata
    const current = this.#store.get(resource, name, namespace)
    const owners = ownersOf(current)
    if (!current || current.metadata.uid !== uid || owners.length === 0) return
    if (owners.some((owner) => this.#present.has(owner.uid))) return
    this.#remove(resource, current)
  }

  #remove(resource: ResourceKey, object: StoredObject): void {
    const { name, namespace, uid, deletionTimestamp } = object.metadata
    if (deletionTimestamp !== undefined || uid === undefined) return
    ignoreMissing(() => this.#store.remove(resource, { name, namespace }, { preconditions: { uid } }))
  }

  #afterOwner(uid: string): void {
    const dependents = [...(this.#dependents.get(uid)?.values() ?? [])]
    this.#dependents.delete(uid)
    for (const { resource, name, namespace } of dependents) {
      const object = this.#store.get(resource, name, namespace)
      if (object) this.#collect(resource, object)
    }
  }

  #dependentsOf(uid: string): { resource: ResourceKey; object: StoredObject }[] {
    return [...(this.#dependents.get(uid)?.values() ?? [])].flatMap(({ resource, name, namespace }) => {
      const object = this.#store.get(resource, name, namespace)
      return object ? [{ resource, object }] : []
    })
  }

  #orphan(resource: ResourceKey, owner: StoredObject): void {
    const { uid = '' } = owner.metadata
    for (const { resource: dependentResource, object } of this.#dependentsOf(uid)) {
      const { name, namespace } = object.metadata
      ignoreMissing(() =>
        this.#store.update(dependentResource, { name, namespace }, (current) => {
          const kept = ownersOf(current).filter((reference) => reference.uid !== uid)
          const next = cloneJson(current)
          if (kept.length > 0) next.metadata.ownerReferences = kept
          else delete next.metadata.ownerReferences
          return next
        }),
      )
    }
    this.#dropFinalizer(resource, owner, orphan)
  }

  #deleteForeground(resource: ResourceKey, owner: StoredObject): void {
    const blocking = this.#blocking(owner.metadata.uid ?? '')
    if (blocking.length === 0) {
      this.#dropFinalizer(resource, owner, foreground)
      return
    }
    const { name: ownerName, namespace: ownerNamespace, uid: ownerUid = '' } = owner.metadata
    this.#waiting.set(ownerUid, { resource, name: ownerName, namespace: ownerNamespace })
    for (const { resource: dependentResource, object } of this.#dependentsOf(ownerUid)) {
      const hasOther = ownersOf(object).some(({ uid }) => uid !== ownerUid && this.#present.has(uid))
      const { name, namespace, uid, deletionTimestamp } = object.metadata
      if (hasOther || deletionTimestamp !== undefined || uid === undefined) continue
      const options = { propagationPolicy: 'Foreground' as const, preconditions: { uid } }
      ignoreMissing(() => this.#store.remove(dependentResource, { name, namespace }, options))
    }
  }

  #blocking(uid: string): StoredObject[] {
    return this.#dependentsOf(uid)
      .map(({ object }) => object)
      .filter((object) =>
        ownersOf(object).some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
      )
  }

  /** The owner may go when the last dependent that blocked it is gone. */
  #finishForeground(ownerUid: string): void {
    const reference = this.#waiting.get(ownerUid)
    if (!reference || this.#blocking(ownerUid).length > 0) return
    const owner = this.#store.get(reference.resource, reference.name, reference.namespace)
    this.#waiting.delete(ownerUid)
    if (owner?.metadata.uid === ownerUid) this.#dropFinalizer(reference.resource, owner, foreground)
  }

  #dropFinalizer(resource: ResourceKey, object: StoredObject, finalizer: string): void {
    const { name, namespace } = object.metadata
    ignoreMissing(() =>
      this.#store.update(resource, { name, namespace }, (current) => {
        const next = cloneJson(current)
        next.metadata.finalizers = (current.metadata.finalizers ?? []).filter((other) => other !== finalizer)
        if (next.metadata.finalizers.length === 0) delete next.metadata.finalizers
        return next
      }),
    )
  }
}

function ignoreMissing(action: () => unknown): void {
  try {
    action()
  } catch (error) {
    if (error instanceof StatusError && (error.reason === 'NotFound' || error.reason === 'Conflict')) return
    throw error
  }
}
