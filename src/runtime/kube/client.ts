import type { EnvReader } from '../shared/env.ts'
import { messageOf } from '../shared/errors.ts'
import { credentialSource } from './credentials.ts'
import { splitLines } from './json-lines.ts'
import { type ContextOptions, type KubeContext, loadContext } from './kubeconfig.ts'
import { pathOf } from './resources.ts'
import { createTransport, readBody, type Transport, transportError } from './transport.ts'
import {
  type CollectOptions,
  type KubeClient,
  KubeError,
  type KubeList,
  type KubeObject,
  type ListOptions,
  type RawRequest,
  type Resource,
  type WatchEvent,
  type WriteOptions,
} from './types.ts'
import {
  flatHeaders,
  notTheApi,
  selectorQuery,
  statusError,
  typed,
  watchEvent,
  withKind,
  withQuery,
  writeQuery,
} from './wire.ts'

/** Which cluster, and as whom. kubectl's flags with kubectl's meaning. */
export interface ConnectOptions extends ContextOptions {
  /** User to impersonate. */
  as?: string
  /** Groups to impersonate. */
  asGroup?: string | readonly string[]
  /** Longest silence of an exchange that is not a stream, in ms. */
  idleTimeoutMs?: number
}

/** An answer whose body is read as it arrives, such as a log that is followed. */
export interface StreamResponse {
  status: number
  headers: Record<string, string>
  body: AsyncIterable<Uint8Array>
}

/** A client that also streams and can be closed. */
export interface KubeConnection extends KubeClient {
  /** Name of the context in use; `in-cluster` for a pod's service account. */
  readonly contextName: string
  /** Any call, answered before its body is there. Answers with any status. Abort the signal to end it. */
  stream(request: RawRequest): Promise<StreamResponse>
  /** Closes idle connections. */
  close(): void
}

const defaultIdleTimeoutMs = 60_000
const listPageSize = 500
/** A watch lives this long by default, plus up to as much again as {@link watchLifetimeJitterS}. */
const watchLifetimeS = 240
const watchLifetimeJitterS = 60

/**
 * Connects to a cluster. Nothing is sent before the first call.
 * @throws MeshError `MESH_KUBECONFIG_*`; calls reject with {@link KubeError}, or with MeshError `MESH_KUBE_UNREACHABLE`,
 * `MESH_KUBE_UNTRUSTED`, `MESH_KUBE_CREDENTIALS`
 */
export function connect(options: ConnectOptions, env: EnvReader): KubeConnection {
  const context = loadContext(options, env)
  const groups = typeof options.asGroup === 'string' ? [options.asGroup] : options.asGroup
  const impersonation = {
    ...(options.as === undefined ? {} : { as: options.as }),
    ...(groups === undefined ? {} : { asGroup: groups }),
  }
  const credentials = credentialSource(context, impersonation, () => Date.now())
  return new HttpKubeClient(
    context,
    createTransport(context, credentials),
    options.idleTimeoutMs ?? defaultIdleTimeoutMs,
  )
}

class HttpKubeClient implements KubeConnection {
  readonly server: string
  readonly defaultNamespace: string
  readonly contextName: string
  readonly #context: KubeContext
  readonly #transport: Transport
  readonly #idleTimeoutMs: number

  constructor(context: KubeContext, transport: Transport, idleTimeoutMs: number) {
    this.server = context.cluster.server
    this.defaultNamespace = context.namespace
    this.contextName = context.name
    this.#context = context
    this.#transport = transport
    this.#idleTimeoutMs = idleTimeoutMs
  }

  async read<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    try {
      return await this.#json<T>('GET', this.#objectPath(resource, name, namespace))
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined
      throw error
    }
  }

  async list<T extends KubeObject>(
    resource: Resource,
    options: CollectOptions<T> = {},
  ): Promise<KubeList<T>> {
    try {
      return await this.#listPages(resource, options, listPageSize)
    } catch (error) {
      // The snapshot that the pages come from was compacted meanwhile: once more, all at once.
      if (error instanceof KubeError && error.status === 410) return this.#listPages(resource, options, 0)
      throw error
    }
  }

  /** @param pageSize 0 for all at once */
  async #listPages<T extends KubeObject>(
    resource: Resource,
    options: CollectOptions<T>,
    pageSize: number,
  ): Promise<KubeList<T>> {
    const items: T[] = []
    let pageToken = ''
    for (;;) {
      const query = selectorQuery(options)
      if (pageSize > 0) query.set('limit', String(pageSize))
      if (pageToken !== '') query.set('continue', pageToken)
      const page = await this.#json<{
        items: T[] | null
        metadata: { resourceVersion?: string; continue?: string }
      }>('GET', withQuery(pathOf(resource, options.namespace), query))
      for (const item of page.items ?? []) {
        const object = withKind(item, resource)
        items.push(options.transform?.(object) ?? object)
      }
      pageToken = page.metadata.continue ?? ''
      if (pageToken === '') return { items, resourceVersion: page.metadata.resourceVersion ?? '' }
    }
  }

  create<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions = {}): Promise<T> {
    const path = pathOf(resource, this.#namespaceOf(resource, object.metadata.namespace))
    return this.#json('POST', withQuery(path, writeQuery(options)), typed(object, resource))
  }

  replace<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions = {}): Promise<T> {
    const path = this.#objectPath(resource, object.metadata.name, object.metadata.namespace)
    return this.#json('PUT', withQuery(path, writeQuery(options)), typed(object, resource))
  }

  mergePatch<T extends KubeObject>(
    resource: Resource,
    name: string,
    patch: unknown,
    options: WriteOptions & { namespace?: string; subresource?: string } = {},
  ): Promise<T> {
    const path = this.#objectPath(resource, name, options.namespace, options.subresource)
    return this.#json('PATCH', withQuery(path, writeQuery(options)), patch, 'application/merge-patch+json')
  }

  apply<T extends KubeObject>(
    resource: Resource,
    object: T,
    options: { fieldManager: string; force?: boolean },
  ): Promise<T> {
    const query = new URLSearchParams({ fieldManager: options.fieldManager })
    if (options.force === true) query.set('force', 'true')
    const path = this.#objectPath(resource, object.metadata.name, object.metadata.namespace)
    // JSON is YAML.
    return this.#json(
      'PATCH',
      withQuery(path, query),
      typed(object, resource),
      'application/apply-patch+yaml',
    )
  }

  async remove(resource: Resource, name: string, namespace?: string): Promise<boolean> {
    try {
      await this.#json('DELETE', this.#objectPath(resource, name, namespace))
      return true
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return false
      throw error
    }
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
  ): AsyncGenerator<WatchEvent<T>> {
    const query = selectorQuery(options)
    query.set('watch', '1')
    query.set('allowWatchBookmarks', 'true')
    query.set('resourceVersion', options.resourceVersion)
    query.set('timeoutSeconds', String(watchLifetimeS + Math.floor(Math.random() * watchLifetimeJitterS)))
    const path = `${pathOf(resource, options.namespace)}?${query}`
    const answer = await this.#transport.send({ method: 'GET', path, signal: options.signal })
    if (answer.statusCode !== 200) {
      throw statusError(answer.statusCode ?? 0, await readBody(answer, this.#context, options.signal))
    }
    try {
      for await (const line of splitLines(answer)) yield watchEvent<T>(line)
    } catch (error) {
      if (options.signal.aborted) return
      throw error instanceof KubeError ? error : transportError(error, options.signal, this.#context)
    } finally {
      answer.destroy()
    }
  }

  async raw(request: RawRequest) {
    const answer = await this.#transport.send(request)
    const body = await readBody(answer, this.#context, request.signal)
    return { status: answer.statusCode ?? 0, headers: flatHeaders(answer), body }
  }

  async stream(request: RawRequest): Promise<StreamResponse> {
    const answer = await this.#transport.send(request)
    return { status: answer.statusCode ?? 0, headers: flatHeaders(answer), body: answer }
  }

  close(): void {
    this.#transport.close()
  }

  async #json<T>(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<T> {
    const answer = await this.#transport.send({
      method,
      path,
      idleTimeoutMs: this.#idleTimeoutMs,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': contentType } }),
    })
    const text = await readBody(answer, this.#context)
    const status = answer.statusCode ?? 0
    if (status < 200 || status > 299) throw statusError(status, text)
    try {
      return JSON.parse(text) as T
    } catch (error) {
      throw notTheApi(this.server, messageOf(error))
    }
  }

  #objectPath(resource: Resource, name: string, namespace?: string, subresource?: string): string {
    return pathOf(resource, this.#namespaceOf(resource, namespace), name, subresource)
  }

  #namespaceOf(resource: Resource, namespace: string | undefined): string | undefined {
    return resource.namespaced ? (namespace ?? this.defaultNamespace) : undefined
  }
}
