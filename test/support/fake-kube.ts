import type { KubeConnection } from '../../src/runtime/kube/client.ts'
import {
  type CollectOptions,
  KubeError,
  type KubeList,
  type KubeObject,
  type ListOptions,
  type RawRequest,
  type RawResponse,
  type Resource,
  type WatchEvent,
  type WriteOptions,
} from '../../src/runtime/kube/types.ts'

type StoredEvent = { resource: string; version: number } & Exclude<
  WatchEvent<KubeObject>,
  { type: 'BOOKMARK' }
>

interface Watcher {
  resource: string
  options: ListOptions
  push: (event: WatchEvent<KubeObject>) => void
  end: (error?: Error) => void
}

/**
 * A Kubernetes API in memory: versions, conflicts, list and watch with history, merge patch (also for apply),
 * generated names, selectors by labels and by `metadata.name`. What a test needs to go wrong can be made to: kinds
 * that are missing, watches that break, history that is forgotten, calls that fail.
 */
export class FakeKube implements KubeConnection {
  readonly server = 'https://fake'
  readonly defaultNamespace = 'default'
  readonly contextName = 'fake'
  /** Kinds, by plural, that the server does not know: every call answers 404. */
  readonly missingKinds = new Set<string>()
  /** Called before each call; throw to make it fail. */
  onCall: (verb: string, resource: Resource, name?: string) => void = () => {}
  /** Answers of {@link FakeKube.raw}. */
  onRaw: (request: RawRequest) => RawResponse = () => ({ status: 404, headers: {}, body: '' })
  readonly #objects = new Map<string, Map<string, KubeObject>>()
  readonly #watchers = new Set<Watcher>()
  #history: StoredEvent[] = []
  #version = 1
  #oldest = 0

  /** Puts objects there, without admission and without conflicts. The kind says which resource. */
  put<T extends KubeObject>(resource: Resource, ...objects: T[]): void {
    for (const object of objects) this.#store(resource, structuredClone(object))
  }

  /** Everything of a kind. */
  all<T extends KubeObject>(resource: Resource): T[] {
    return [...(this.#objects.get(keyOfKind(resource))?.values() ?? [])].map((object) =>
      structuredClone(object as T),
    )
  }

  /** Ends every watch, as a server does from time to time, or with an error. */
  breakWatches(error?: Error): void {
    for (const watcher of [...this.#watchers]) watcher.end(error)
  }

  /** Forgets what happened: watches from earlier versions answer 410. */
  forgetHistory(): void {
    this.#history = []
    this.#oldest = this.#version
  }

  /** How many watches are open. */
  get watchCount(): number {
    return this.#watchers.size
  }

  async read<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    this.#enter('get', resource, name)
    const found = this.#objects.get(keyOfKind(resource))?.get(keyOf(namespace, name))
    return structuredClone(found as T | undefined)
  }

  async list<T extends KubeObject>(
    resource: Resource,
    options: CollectOptions<T> = {},
  ): Promise<KubeList<T>> {
    this.#enter('list', resource)
    const items = this.all<T>(resource).filter((object) => isSelected(object, options))
    const { transform = (object: T) => object } = options
    return { items: items.map((object) => transform(object)), resourceVersion: String(this.#version) }
  }

  async create<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions = {}): Promise<T> {
    this.#enter('create', resource, object.metadata.name)
    const created = structuredClone(object)
    const { generateName } = created.metadata
    if (!created.metadata.name && generateName !== undefined) {
      created.metadata.name = `${generateName}${(this.#version + 1).toString(36)}`
    }
    const { namespace, name } = created.metadata
    if (this.#objects.get(keyOfKind(resource))?.has(keyOf(namespace, name))) {
      throw new KubeError(409, 'AlreadyExists', `${resource.plural} "${name}" already exists`)
    }
    return options.dryRun === true ? created : this.#store(resource, created)
  }

  async replace<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions = {}): Promise<T> {
    this.#enter('update', resource, object.metadata.name)
    const known = this.#known(resource, object.metadata.name, object.metadata.namespace)
    const version = object.metadata.resourceVersion
    if (version !== undefined && version !== known.metadata.resourceVersion) {
      throw new KubeError(409, 'Conflict', `${resource.plural} "${object.metadata.name}" was changed`)
    }
    return options.dryRun === true ? structuredClone(object) : this.#store(resource, structuredClone(object))
  }

  async mergePatch<T extends KubeObject>(
    resource: Resource,
    name: string,
    patch: unknown,
    options: WriteOptions & { namespace?: string; subresource?: string } = {},
  ): Promise<T> {
    this.#enter('patch', resource, name)
    const patched = merge(this.#known(resource, name, options.namespace), patch) as T
    return options.dryRun === true ? patched : this.#store(resource, patched)
  }

  async apply<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    this.#enter('patch', resource, object.metadata.name)
    const { namespace, name } = object.metadata
    const known = this.#objects.get(keyOfKind(resource))?.get(keyOf(namespace, name))
    return this.#store(resource, merge(known ?? {}, object) as T)
  }

  async remove(resource: Resource, name: string, namespace?: string): Promise<boolean> {
    this.#enter('delete', resource, name)
    const objects = this.#objects.get(keyOfKind(resource))
    const object = objects?.get(keyOf(namespace, name))
    if (objects === undefined || object === undefined) return false
    objects.delete(keyOf(namespace, name))
    object.metadata.resourceVersion = String(++this.#version)
    this.#emit(resource, 'DELETED', object)
    return true
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
  ): AsyncGenerator<WatchEvent<T>> {
    this.#enter('watch', resource)
    const from = Number(options.resourceVersion)
    if (from < this.#oldest) throw new KubeError(410, 'Expired', 'too old resource version')
    const queue: WatchEvent<KubeObject>[] = this.#history.filter(
      (event) =>
        event.version > from && event.resource === keyOfKind(resource) && isSelected(event.object, options),
    )
    let wake: () => void = () => {}
    let ended: { error?: Error } | undefined
    const watcher: Watcher = {
      resource: keyOfKind(resource),
      options,
      push: (event) => {
        queue.push(event)
        wake()
      },
      end: (error) => {
        ended ??= error === undefined ? {} : { error }
        wake()
      },
    }
    const abort = () => watcher.end()
    options.signal.addEventListener('abort', abort, { once: true })
    this.#watchers.add(watcher)
    try {
      while (!options.signal.aborted) {
        const event = queue.shift()
        if (event !== undefined) yield structuredClone(event) as WatchEvent<T>
        else if (ended?.error !== undefined) throw ended.error
        else if (ended !== undefined) return
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      this.#watchers.delete(watcher)
      options.signal.removeEventListener('abort', abort)
    }
  }

  async raw(request: RawRequest): Promise<RawResponse> {
    return this.onRaw(request)
  }

  async stream(request: RawRequest) {
    const { status, headers, body } = this.onRaw(request)
    const bytes = new TextEncoder().encode(body)
    return {
      status,
      headers,
      body: (async function* () {
        yield bytes
      })(),
    }
  }

  close(): void {
    this.breakWatches()
  }

  #enter(verb: string, resource: Resource, name?: string): void {
    this.onCall(verb, resource, name)
    if (this.missingKinds.has(resource.plural)) {
      throw new KubeError(404, 'NotFound', 'the server could not find the requested resource')
    }
  }

  #known(resource: Resource, name: string, namespace?: string): KubeObject {
    const known = this.#objects.get(keyOfKind(resource))?.get(keyOf(namespace, name))
    if (known === undefined) throw new KubeError(404, 'NotFound', `${resource.plural} "${name}" not found`)
    return known
  }

  #store<T extends KubeObject>(resource: Resource, object: T): T {
    const kind = keyOfKind(resource)
    const objects = this.#objects.get(kind) ?? new Map<string, KubeObject>()
    this.#objects.set(kind, objects)
    const id = keyOf(object.metadata.namespace, object.metadata.name)
    const known = objects.get(id)
    this.#version += 1
    object.metadata = {
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...object.metadata,
      uid: object.metadata.uid ?? known?.metadata.uid ?? `uid-${this.#version}`,
      resourceVersion: String(this.#version),
    }
    objects.set(id, object)
    this.#emit(resource, known === undefined ? 'ADDED' : 'MODIFIED', object)
    return structuredClone(object)
  }

  #emit(resource: Resource, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const kind = keyOfKind(resource)
    const event = { type, object: structuredClone(object) }
    this.#history.push({ resource: kind, version: this.#version, ...event })
    for (const watcher of this.#watchers) {
      if (watcher.resource === kind && isSelected(object, watcher.options)) watcher.push(event)
    }
  }
}

function keyOfKind({ group, plural }: Resource): string {
  return `${group}/${plural}`
}

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`
}

function isSelected(object: KubeObject, options: ListOptions): boolean {
  const { metadata } = object
  if (options.namespace !== undefined && metadata.namespace !== options.namespace) return false
  const fields = pairs(options.fieldSelector)
  if (fields.some(([key, value]) => key === 'metadata.name' && value !== metadata.name)) return false
  return pairs(options.labelSelector).every(([key, value]) =>
    value === undefined ? metadata.labels?.[key] !== undefined : metadata.labels?.[key] === value,
  )
}

/** `a=1,b` as pairs; a key alone has no value. */
function pairs(selector: string | undefined): [string, string | undefined][] {
  if (selector === undefined || selector === '') return []
  return selector.split(',').map((part) => {
    const [key = '', value] = part.split(/==?/)
    return [key, value]
  })
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return structuredClone(patch)
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merge(result[key], value)
  }
  return structuredClone(result)
}
