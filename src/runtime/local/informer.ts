import { type KubeClient, KubeError, type KubeObject, type Resource, type WatchEvent } from '../kube/types.ts'
import { type Clock, systemClock } from '../shared/clock.ts'
import { messageOf } from '../shared/errors.ts'
import type { Logger } from '../shared/logger.ts'

/** What happened to one object. */
export interface Change<T> {
  /** Absent when the object is new. */
  before?: T
  /** Absent when the object is gone. */
  after?: T
}

/** A copy of all objects of one kind that follows the API server. */
export interface Informer<T extends KubeObject> {
  /** Resolves once the first list has arrived. */
  readonly synced: Promise<void>
  get(name: string, namespace?: string): T | undefined
  /** All objects, or those of one namespace. */
  list(namespace?: string): T[]
  /** Calls back for each change from now on, and for each object that is there already. */
  onChange(listener: (change: Change<T>) => void): void
}

/** What an informer needs beside the resource. */
export interface InformerOptions {
  signal: AbortSignal
  logger: Logger
  clock?: Clock
}

/** Lists and watches a resource until the signal aborts; lists anew when the watch is lost. */
export function startInformer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  options: InformerOptions,
): Informer<T> {
  const informer = new WatchingInformer<T>(client, resource, options)
  void informer.run()
  return informer
}

class WatchingInformer<T extends KubeObject> implements Informer<T> {
  readonly synced: Promise<void>
  readonly #byNamespace = new Map<string, Map<string, T>>()
  readonly #listeners: ((change: Change<T>) => void)[] = []
  readonly #client: KubeClient
  readonly #resource: Resource
  readonly #options: InformerOptions
  #markSynced!: () => void

  constructor(client: KubeClient, resource: Resource, options: InformerOptions) {
    this.#client = client
    this.#resource = resource
    this.#options = options
    this.synced = new Promise((resolve) => {
      this.#markSynced = resolve
    })
  }

  get(name: string, namespace = ''): T | undefined {
    return this.#byNamespace.get(namespace)?.get(name)
  }

  list(namespace?: string): T[] {
    if (namespace !== undefined) return [...(this.#byNamespace.get(namespace)?.values() ?? [])]
    return [...this.#byNamespace.values()].flatMap((objects) => [...objects.values()])
  }

  onChange(listener: (change: Change<T>) => void): void {
    this.#listeners.push(listener)
    for (const after of this.list()) listener({ after })
  }

  async run(): Promise<void> {
    const { signal, logger, clock = systemClock } = this.#options
    while (!signal.aborted) {
      try {
        await this.#listAndWatch(signal)
      } catch (error) {
        if (signal.aborted) return
        const isExpired = error instanceof KubeError && error.status === 410
        if (isExpired) continue
        logger.warn({ resource: this.#resource.plural, reason: messageOf(error) }, 'watch lost')
        await clock.sleep(200, signal).catch(() => undefined)
      }
    }
  }

  async #listAndWatch(signal: AbortSignal): Promise<void> {
    const list = await this.#client.list<T>(this.#resource)
    this.#replaceAll(list.items)
    this.#markSynced()
    let resourceVersion = list.resourceVersion
    while (!signal.aborted) {
      const events = this.#client.watch<T>(this.#resource, { resourceVersion, signal })
      for await (const event of events) {
        this.#accept(event)
        resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion
      }
    }
  }

  #accept(event: WatchEvent<T>): void {
    if (event.type === 'BOOKMARK') return
    if (event.type === 'DELETED') this.#remove(event.object)
    else this.#put(event.object)
  }

  #replaceAll(items: T[]): void {
    const uids = new Set(items.map((item) => item.metadata.uid))
    for (const old of this.list()) if (!uids.has(old.metadata.uid)) this.#remove(old)
    for (const item of items) {
      const known = this.get(item.metadata.name, item.metadata.namespace)
      if (known?.metadata.resourceVersion !== item.metadata.resourceVersion) this.#put(item)
    }
  }

  #put(after: T): void {
    const { namespace = '', name } = after.metadata
    const objects = this.#byNamespace.get(namespace) ?? new Map<string, T>()
    this.#byNamespace.set(namespace, objects)
    const before = objects.get(name)
    objects.set(name, after)
    this.#tell(before === undefined ? { after } : { before, after })
  }

  #remove(gone: T): void {
    const { namespace = '', name } = gone.metadata
    const objects = this.#byNamespace.get(namespace)
    if (!objects?.delete(name)) return
    if (objects.size === 0) this.#byNamespace.delete(namespace)
    this.#tell({ before: gone })
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) listener(change)
  }
}
