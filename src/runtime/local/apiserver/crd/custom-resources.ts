import { resources } from '../../../kube/resources.ts'
import type { Clock } from '../../../shared/clock.ts'
import { messageOf } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/logger.ts'
import { timestamp } from '../deletion.ts'
import { objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { Registry } from '../registry/registry.ts'
import type { ResourceKey, Store } from '../store.ts'
import { customKinds } from './custom-kind.ts'
import { cleanupFinalizer } from './definition-kind.ts'

/** Serves the kinds of CustomResourceDefinitions as long as these exist. */
export class CustomResources {
  readonly #store: Store
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #stop: () => void
  /** Definitions that wait until their objects are gone, by the resource of these. */
  readonly #ending = new Map<string, string>()

  constructor(parts: { store: Store; registry: Registry; clock: Clock; logger: Logger }) {
    this.#store = parts.store
    this.#registry = parts.registry
    this.#clock = parts.clock
    this.#logger = parts.logger
    this.#stop = parts.store.subscribe((resource, change) => {
      const { plural, group } = resources.customResourceDefinitions
      if (resource.plural === plural && resource.group === group)
        this.#follow(change.object, change.type === 'DELETED')
      else if (change.type === 'DELETED') this.#finishLater(`${resource.group}/${resource.plural}`)
    })
  }

  close(): void {
    this.#stop()
  }

  #follow(crd: StoredObject, isGone: boolean): void {
    const { group, plural } = storageOf(crd)
    this.#registry.setCustom(group, plural, isGone ? [] : customKinds(crd))
    if (isGone) return
    // After the change is told to everybody, so that events stay in order.
    queueMicrotask(() => {
      try {
        if (crd.metadata.deletionTimestamp === undefined) this.#establish(crd.metadata.name)
        else this.#empty(crd)
      } catch (error) {
        this.#logger.error(
          { crd: crd.metadata.name, error: messageOf(error) },
          'custom resource definition failed',
        )
      }
    })
  }

  #establish(name: string): void {
    if (!this.#store.get(resources.customResourceDefinitions, name)) return
    this.#store.update<StoredObject>(resources.customResourceDefinitions, { name }, (crd) => {
      const versions = objectsAt(crd, ['spec', 'versions'])
      const stored = versions
        .filter((version) => version.storage === true)
        .map((version) => String(version.name))
      const before = (valueAt(crd, ['status', 'storedVersions']) as string[] | undefined) ?? []
      const established = objectsAt(crd, ['status', 'conditions'])
      const conditions =
        established.length > 0 ? established : acceptedConditions(timestamp(this.#clock.nowMs()))
      const status = {
        conditions,
        acceptedNames: valueAt(crd, ['spec', 'names']),
        storedVersions: [...new Set([...before, ...stored])],
      }
      return { ...crd, status }
    })
  }

  #empty(crd: StoredObject): void {
    const storage = storageOf(crd)
    this.#ending.set(`${storage.group}/${storage.plural}`, crd.metadata.name)
    for (const { metadata } of this.#store.list(storage).items) {
      this.#store.remove(storage, { name: metadata.name, namespace: metadata.namespace })
    }
    this.#finish(`${storage.group}/${storage.plural}`)
  }

  #finishLater(id: string): void {
    if (this.#ending.has(id)) queueMicrotask(() => this.#finish(id))
  }

  #finish(id: string): void {
    const name = this.#ending.get(id)
    const crd =
      name === undefined
        ? undefined
        : this.#store.get<StoredObject>(resources.customResourceDefinitions, name)
    if (!crd || this.#store.list(storageOf(crd)).items.length > 0) return
    this.#ending.delete(id)
    this.#store.update(resources.customResourceDefinitions, { name: crd.metadata.name }, (current) => {
      const finalizers = (current.metadata.finalizers ?? []).filter(
        (finalizer) => finalizer !== cleanupFinalizer,
      )
      return { ...current, metadata: { ...current.metadata, finalizers } }
    })
  }
}

function storageOf(crd: StoredObject): ResourceKey {
  return {
    group: stringAt(crd, ['spec', 'group']) ?? '',
    plural: stringAt(crd, ['spec', 'names', 'plural']) ?? '',
  }
}

function acceptedConditions(lastTransitionTime: string): Record<string, string>[] {
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime,
    reason,
    message,
  })
  return [
    condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
    condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
  ]
}
