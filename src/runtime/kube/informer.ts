import type { Clock } from '../shared/clock.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from './types.ts'

/** What an informer needs of a client. */
export type ListWatch = Pick<KubeClient, 'list' | 'watch'>

/** One change of what an informer holds. */
export type InformerChange<T> =
  | { kind: 'added'; object: T }
  | { kind: 'updated'; object: T; previous: T }
  /** `object` is the last that was known. */
  | { kind: 'deleted'; object: T }

/** A copy of the objects of one kind, kept up to date. Objects are shared: never change one. */
export interface Informer<T extends KubeObject> {
  /** Resolves after the first list. Stays pending while the API is out of reach; rejects when the signal aborts first. */
  readonly synced: Promise<void>
  /** Whether {@link Informer.synced} has resolved. */
  readonly isSynced: boolean
  /** When the server was last heard of, in ms since the epoch. */
  readonly lastEventMs: number
  /** @param namespace `undefined` for kinds without namespaces */
  get(namespace: string | undefined, name: string): T | undefined
  list(): T[]
  byNamespace(namespace: string): T[]
  /** Called after each change, in order. What is already there is not replayed. */
  onChange(listener: (change: InformerChange<T>) => void): () => void
}

export interface InformerOptions<T extends KubeObject> {
  /** All namespaces when absent. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  clock: Clock
  /** Ends the informer. */
  signal: AbortSignal
  /** Told of each failure; the informer goes on by itself. */
  onError?: (error: unknown) => void
  /** Makes objects smaller before they are kept. `managedFields` are dropped in any case. */
  transform?: (object: T) => T
  /** From 0 to 1; spreads retries. */
  random?: () => number
  /** A watch that is silent for longer is taken for dead. Servers close a watch after 5 minutes at most. */
  staleAfterMs?: number
}

const firstBackoffMs = 500
const maxBackoffMs = 30_000
const defaultStaleAfterMs = 360_000

/**
 * Starts list and watch. A version that is too old leads to a new list, whose differences are told as changes. While
 * the API is out of reach the last state stays. A kind that the server does not know counts as having no objects, and
 * is asked for again, since its CRD may come later.
 */
export function startInformer<T extends KubeObject>(
  client: ListWatch,
  resource: Resource,
  options: InformerOptions<T>,
): Informer<T> {
  const reflector = new Reflector(client, resource, options)
  void reflector.run()
  return reflector
}

class Reflector<T extends KubeObject> implements Informer<T> {
  readonly synced: Promise<void>
  isSynced = false
  lastEventMs: number
  readonly #client: ListWatch
  readonly #resource: Resource
  readonly #options: InformerOptions<T>
  readonly #namespaces = new Map<string, Map<string, T>>()
  readonly #listeners = new Set<(change: InformerChange<T>) => void>()
  #markSynced: () => void = () => {}
  readonly #shrunk = new WeakSet<T>()
  #failures = 0

  constructor(client: ListWatch, resource: Resource, options: InformerOptions<T>) {
    this.#client = client
    this.#resource = resource
    this.#options = options
    this.lastEventMs = options.clock.nowMs()
    this.synced = new Promise((resolve, reject) => {
      const onAbort = () => reject(options.signal.reason as Error)
      options.signal.addEventListener('abort', onAbort, { once: true })
      this.#markSynced = () => {
        options.signal.removeEventListener('abort', onAbort)
        this.isSynced = true
        resolve()
      }
      if (options.signal.aborted) onAbort()
    })
    // Whoever waits sees the rejection; that nobody waits is no defect.
    this.synced.catch(() => {})
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#namespaces.get(namespace ?? '')?.get(name)
  }

  list(): T[] {
    return [...this.#namespaces.values()].flatMap((objects) => [...objects.values()])
  }

  byNamespace(namespace: string): T[] {
    return [...(this.#namespaces.get(namespace)?.values() ?? [])]
  }

  onChange(listener: (change: InformerChange<T>) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    let version: string | undefined
    while (!signal.aborted) {
      try {
        version ??= await this.#relist()
        version = await this.#follow(version)
        this.#failures = 0
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof KubeError) || error.status !== 410) this.#options.onError?.(error)
        // After any failure the whole is listed again: what was missed meanwhile is unknown.
        version = undefined
        if (!(await this.#backOff(error))) return
      }
    }
  }

  async #relist(): Promise<string> {
    const { namespace, labelSelector, fieldSelector } = this.#options
    try {
      const { items, resourceVersion } = await this.#client.list<T>(this.#resource, {
        ...(namespace === undefined ? {} : { namespace }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
        transform: (object) => this.#shrink(object),
      })
      this.#replaceAll(items)
      this.#heard()
      return resourceVersion
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) {
        this.#replaceAll([])
        this.#heard()
      }
      throw error
    }
  }

  /** Follows one watch to its end, and answers with the version that the next one starts from. */
  async #follow(from: string): Promise<string> {
    const { clock, signal, namespace, labelSelector, fieldSelector } = this.#options
    const watching = new AbortController()
    const stop = () => watching.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    const watchdog = this.#abortWhenStale(watching)
    let version = from
    try {
      const events = this.#client.watch<T>(this.#resource, {
        ...(namespace === undefined ? {} : { namespace }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
        resourceVersion: from,
        signal: watching.signal,
      })
      const openedMs = clock.nowMs()
      for await (const event of events) {
        this.lastEventMs = clock.nowMs()
        version = event.object.metadata.resourceVersion ?? version
        if (event.type !== 'BOOKMARK') this.#accept(event.type, event.object)
        this.#failures = 0
      }
      // A server that closes every watch at once must not be asked in a loop.
      if (!watching.signal.aborted && clock.nowMs() - openedMs < firstBackoffMs) await this.#pause()
      if (watching.signal.aborted && !signal.aborted) throw watching.signal.reason
      return version
    } finally {
      signal.removeEventListener('abort', stop)
      watching.abort(new Error('watch ended'))
      await watchdog
    }
  }

  async #abortWhenStale(watching: AbortController): Promise<void> {
    const { clock, staleAfterMs = defaultStaleAfterMs } = this.#options
    let heardMs = clock.nowMs()
    try {
      for (;;) {
        heardMs = Math.max(heardMs, this.lastEventMs)
        const leftMs = heardMs + staleAfterMs - clock.nowMs()
        if (leftMs <= 0) break
        await clock.sleep(leftMs, watching.signal)
        heardMs = Math.max(heardMs, this.lastEventMs)
      }
      watching.abort(
        new Error(`the watch of ${this.#resource.plural} was silent for ${staleAfterMs / 1000} s`),
      )
    } catch {
      // The watch ended first.
    }
  }

  /** Whether to go on. */
  async #backOff(error: unknown): Promise<boolean> {
    if (error instanceof KubeError && error.status === 410 && this.#failures === 0) {
      this.#failures = 1
      return true
    }
    this.#failures = error instanceof KubeError && error.status === 404 ? 16 : this.#failures + 1
    return await this.#pause()
  }

  async #pause(): Promise<boolean> {
    const { clock, signal, random = Math.random } = this.#options
    const ceilingMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(this.#failures, 16))
    try {
      await clock.sleep(ceilingMs / 2 + (random() * ceilingMs) / 2, signal)
      return true
    } catch {
      return false
    }
  }

  #heard(): void {
    this.lastEventMs = this.#options.clock.nowMs()
    if (!this.isSynced) this.#markSynced()
  }

  #replaceAll(items: T[]): void {
    const gone = new Map(this.list().map((object) => [keyOf(object), object]))
    for (const item of items) {
      gone.delete(keyOf(item))
      this.#accept('MODIFIED', item)
    }
    for (const object of gone.values()) this.#accept('DELETED', object)
  }

  #accept(type: 'ADDED' | 'MODIFIED' | 'DELETED', received: T): void {
    const { namespace = '', name } = received.metadata
    const previous = this.#namespaces.get(namespace)?.get(name)
    if (type === 'DELETED') {
      if (previous === undefined) return
      this.#drop(namespace, name)
      this.#tell({ kind: 'deleted', object: previous })
      return
    }
    if (previous !== undefined && isSameVersion(previous, received)) return
    const object = this.#shrink(received)
    this.#keep(namespace, name, object)
    this.#tell(previous === undefined ? { kind: 'added', object } : { kind: 'updated', object, previous })
  }

  #keep(namespace: string, name: string, object: T): void {
    const objects = this.#namespaces.get(namespace) ?? new Map<string, T>()
    objects.set(name, object)
    this.#namespaces.set(namespace, objects)
  }

  #drop(namespace: string, name: string): void {
    const objects = this.#namespaces.get(namespace)
    objects?.delete(name)
    if (objects?.size === 0) this.#namespaces.delete(namespace)
  }

  #shrink(object: T): T {
    // A client that shrinks page by page has done it already.
    if (this.#shrunk.has(object)) return object
    delete (object.metadata as { managedFields?: unknown }).managedFields
    const small = this.#options.transform?.(object) ?? object
    this.#shrunk.add(small)
    return small
  }

  #tell(change: InformerChange<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        // One listener's defect must not stop the others, nor the watch.
        this.#options.onError?.(error)
      }
    }
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  const version = a.metadata.resourceVersion
  return version !== undefined && version === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid
}
