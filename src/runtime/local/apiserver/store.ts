import { randomUUID } from 'node:crypto'
import type { KubeList, ListOptions, Resource, WatchEvent } from '../../kube/types.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { checkPreconditions, type DeleteOptions, isDeletable, markDeleted, timestamp } from './deletion.ts'
import { cloneJson, deepFreeze, jsonEqual } from './json.ts'
import type { ObjectRef, StoredObject } from './objects.ts'
import { compileFieldSelector, compileLabelSelector, type Predicate } from './selectors.ts'
import { alreadyExists, conflict, expired, notFound } from './status.ts'
import { type Change, WatchLog } from './watch-log.ts'

export interface StoreOptions {
  clock?: Clock
  /** Changes remembered per resource, for watches that start in the past. */
  historyLimit?: number
  newUid?: () => string
}

export interface WatchOptions extends ListOptions {
  /** Changes later than this version; the present objects first (as ADDED) when absent or `0`. */
  fromVersion?: string
  /** Time between bookmarks in milliseconds; none when absent. */
  bookmarkIntervalMs?: number
  /** Sends a bookmark as soon as all that was there at the start has been sent. */
  initialBookmark?: boolean
  signal: AbortSignal
}

export interface UpdateOptions {
  /** 409 unless the object still has this version. */
  expectedVersion?: string | undefined
}

/** Called after each change, in order, in the same turn of the event loop. */
export type ChangeListener = (resource: Pick<Resource, 'group' | 'plural'>, change: Change) => void

interface Table {
  group: string
  plural: string
  objects: Map<string, StoredObject>
  log: WatchLog
}

function keyOf(name: string, namespace: string | undefined): string {
  return `${namespace ?? ''}/${name}`
}

function versionOf(object: StoredObject): string {
  return object.metadata.resourceVersion ?? '0'
}

/**
 * The objects of the cluster, in memory. Every change gets the next resource version, which is one counter for
 * all resources. What it hands out is frozen and shared: copy before changing ({@link cloneJson}).
 *
 * It knows nothing of kinds but how they are deleted; defaults, validation and admission are the caller's.
 */
export class Store {
  readonly #tables = new Map<string, Table>()
  readonly #listeners = new Set<ChangeListener>()
  readonly #clock: Clock
  readonly #historyLimit: number
  readonly #newUid: () => string
  #version = 0

  constructor(options: StoreOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#historyLimit = options.historyLimit ?? 2000
    this.#newUid = options.newUid ?? randomUUID
  }

  /** The version of the latest change. */
  get resourceVersion(): string {
    return String(this.#version)
  }

  /** @returns a function that ends the subscription */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get<T extends StoredObject>(resource: ResourceKey, name: string, namespace?: string): T | undefined {
    return this.#table(resource).objects.get(keyOf(name, namespace)) as T | undefined
  }

  /** Sorted by namespace and name. */
  list<T extends StoredObject>(resource: ResourceKey, options: ListOptions = {}): KubeList<T> {
    const chosen = selection(options)
    const found = [...this.#table(resource).objects].filter(([, object]) => chosen(object))
    found.sort(([left], [right]) => (left < right ? -1 : 1))
    return { items: found.map(([, object]) => object as T), resourceVersion: this.resourceVersion }
  }

  /**
   * Stores a new object and gives it a version, and uid and creation time unless it has them.
   * @throws KubeError 409 AlreadyExists
   */
  create<T extends StoredObject>(resource: ResourceKey, object: T): T {
    const table = this.#table(resource)
    const { name, namespace } = object.metadata
    const key = keyOf(name, namespace)
    if (table.objects.has(key)) throw alreadyExists(resource, name)
    const created = cloneJson(object)
    created.metadata.uid ??= this.#newUid()
    created.metadata.creationTimestamp ??= timestamp(this.#clock.nowMs())
    delete created.metadata.deletionTimestamp
    delete created.metadata.deletionGracePeriodSeconds
    return this.#commit(table, 'ADDED', created, undefined) as T
  }

  /**
   * Replaces an object by what `mutate` makes of it. Nothing is stored, and no version used, when both are equal.
   * An object that is marked as deleted and no longer held back by a finalizer is removed.
   * @param mutate gets the present object (frozen) and returns the new one; it may throw to give up
   * @throws KubeError 404, or 409 Conflict
   */
  update<T extends StoredObject>(
    resource: ResourceKey,
    ref: ObjectRef,
    mutate: (current: T) => T,
    options: UpdateOptions = {},
  ): T {
    const table = this.#table(resource)
    const current = this.#existing(table, ref)
    if (options.expectedVersion !== undefined && options.expectedVersion !== versionOf(current)) {
      throw conflict(
        resource,
        ref.name,
        'the object has been modified; please apply your changes to the latest version and try again',
      )
    }
    const next = cloneJson(mutate(current as T)) as StoredObject
    next.metadata.uid = current.metadata.uid as string
    next.metadata.creationTimestamp = current.metadata.creationTimestamp as string
    next.metadata.resourceVersion = versionOf(current)
    if (isDeletable(next)) return this.#delete(table, next, current) as T
    if (jsonEqual(next, current)) return current as T
    return this.#commit(table, 'MODIFIED', next, current) as T
  }

  /**
   * Deletes an object, or marks it as being deleted when finalizers or a grace period hold it back.
   * @throws KubeError 404, or 409 when a precondition fails
   */
  remove<T extends StoredObject>(
    resource: ResourceKey,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): { object: T; gone: boolean } {
    const table = this.#table(resource)
    const current = this.#existing(table, ref)
    checkPreconditions(resource, current, options)
    const marked = markDeleted(current, options, this.#clock.nowMs())
    if (isDeletable(marked)) return { object: this.#delete(table, marked, current) as T, gone: true }
    if (jsonEqual(marked, current)) return { object: current as T, gone: false }
    return { object: this.#commit(table, 'MODIFIED', cloneJson(marked), current) as T, gone: false }
  }

  /**
   * Changes as they happen. An object that stops being chosen by a selector is reported as DELETED.
   * Ends when the signal aborts.
   * @throws KubeError 410 when `fromVersion` is no longer remembered, or the reader is too slow
   */
  async *watch<T extends StoredObject>(
    resource: ResourceKey,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const chosen = selection(options)
    let cursor = Number(options.fromVersion ?? '0')
    if (cursor === 0) {
      const present = this.list<T>(resource, options)
      cursor = Number(present.resourceVersion)
      for (const object of present.items) yield { type: 'ADDED', object }
    }
    if (options.initialBookmark) yield bookmark(cursor)
    for await (const change of this.#changesAfter(resource, cursor, options)) {
      const event = typeof change === 'number' ? bookmark(change) : eventFor<T>(change, chosen)
      if (event) yield event
    }
  }

  /** Changes of a resource; a number is a version up to which there are no more, for a bookmark. */
  async *#changesAfter(
    resource: ResourceKey,
    start: number,
    { signal, bookmarkIntervalMs }: WatchOptions,
  ): AsyncGenerator<Change | number, void, undefined> {
    const { log } = this.#table(resource)
    let cursor = start
    let lastBookmarkMs = this.#clock.nowMs()
    while (!signal.aborted) {
      const changes = log.after(cursor)
      if (!changes) throw expired(`too old resource version: ${cursor} (${this.resourceVersion})`)
      for (const change of changes) {
        cursor = change.version
        yield change
        if (signal.aborted) return
      }
      if (changes.length > 0) continue
      await this.#wait(log, bookmarkIntervalMs, signal)
      if (bookmarkIntervalMs !== undefined && this.#clock.nowMs() - lastBookmarkMs >= bookmarkIntervalMs) {
        lastBookmarkMs = this.#clock.nowMs()
        if (log.after(cursor)?.length !== 0) continue
        cursor = Math.max(cursor, this.#version)
        yield cursor
      }
    }
  }

  /** Waits for a change, for the time, or for the signal, and leaves nothing behind on any of them. */
  async #wait(log: WatchLog, timeoutMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const change = log.nextChange()
    const timer = new AbortController()
    signal.addEventListener('abort', change.cancel, { once: true })
    try {
      const over =
        timeoutMs === undefined ? [] : [this.#clock.sleep(timeoutMs, timer.signal).catch(() => undefined)]
      await Promise.race([change.promise, ...over])
    } finally {
      signal.removeEventListener('abort', change.cancel)
      change.cancel()
      timer.abort()
    }
  }

  #table(resource: ResourceKey): Table {
    const id = `${resource.group}/${resource.plural}`
    let table = this.#tables.get(id)
    if (!table) {
      const { group, plural } = resource
      table = { group, plural, objects: new Map(), log: new WatchLog(this.#historyLimit) }
      this.#tables.set(id, table)
    }
    return table
  }

  #existing(table: Table, ref: ObjectRef): StoredObject {
    const current = table.objects.get(keyOf(ref.name, ref.namespace))
    if (!current) throw notFound(table, ref.name)
    return current
  }

  #delete(table: Table, last: StoredObject, previous: StoredObject): StoredObject {
    return this.#commit(table, 'DELETED', cloneJson(last), previous)
  }

  #commit(
    table: Table,
    type: Change['type'],
    object: StoredObject,
    previous: StoredObject | undefined,
  ): StoredObject {
    this.#version += 1
    object.metadata.resourceVersion = String(this.#version)
    deepFreeze(object)
    const key = keyOf(object.metadata.name, object.metadata.namespace)
    if (type === 'DELETED') table.objects.delete(key)
    else table.objects.set(key, object)
    const change: Change = { version: this.#version, type, object, previous }
    table.log.append(change)
    for (const listener of this.#listeners) listener(table, change)
    return object
  }
}

/** The part of a resource that the store needs: versions of one resource share their objects. */
export type ResourceKey = Pick<Resource, 'group' | 'plural'>

function selection(options: ListOptions): Predicate {
  const labels = compileLabelSelector(options.labelSelector)
  const fields = compileFieldSelector(options.fieldSelector)
  const { namespace } = options
  return (object) => {
    if (namespace && (object as StoredObject).metadata.namespace !== namespace) return false
    return labels(object) && fields(object)
  }
}

function bookmark(version: number): WatchEvent<never> {
  return { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(version) } } }
}

function eventFor<T>(change: Change, chosen: Predicate): WatchEvent<T> | undefined {
  const object = change.object as T
  const before = change.previous !== undefined && chosen(change.previous)
  if (change.type === 'DELETED') return before ? { type: 'DELETED', object } : undefined
  if (chosen(change.object)) return { type: before ? 'MODIFIED' : 'ADDED', object }
  return before ? { type: 'DELETED', object } : undefined
}
