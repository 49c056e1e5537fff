/** Names a kind of object by its place in the API. */
export interface Resource {
  /** Empty for the core group. */
  group: string
  version: string
  plural: string
  kind: string
  namespaced: boolean
}

/** What every Kubernetes object has. */
export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata: ObjectMeta
}

export interface ObjectMeta {
  name: string
  namespace?: string
  generateName?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
}

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface KubeList<T> {
  items: T[]
  resourceVersion: string
}

export interface ListOptions {
  /** All namespaces when absent. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
}

export interface CollectOptions<T> extends ListOptions {
  /** Makes each object smaller as soon as its page was read, so that a large list never stands in memory whole. */
  transform?: (object: T) => T
}

export interface WriteOptions {
  fieldManager?: string
  /** Ask the server to check and answer without storing. */
  dryRun?: boolean
}

export interface RawRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query, from `/api` or `/apis`. */
  path: string
  headers?: Record<string, string>
  body?: string
  signal?: AbortSignal
}

export interface RawResponse {
  status: number
  headers: Record<string, string>
  body: string
}

/** The one way to talk to a cluster. Errors are {@link KubeError}, but for a missing object, which is `undefined`. */
export interface KubeClient {
  /** Where the API is, such as `https://127.0.0.1:6443`. */
  readonly server: string
  /** Namespace of the current context, or `default`. */
  readonly defaultNamespace: string
  read<T extends KubeObject>(resource: Resource, name: string, namespace?: string): Promise<T | undefined>
  list<T extends KubeObject>(resource: Resource, options?: CollectOptions<T>): Promise<KubeList<T>>
  create<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>
  replace<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>
  /** JSON merge patch, RFC 7396. */
  mergePatch<T extends KubeObject>(
    resource: Resource,
    name: string,
    patch: unknown,
    options?: WriteOptions & { namespace?: string; subresource?: string },
  ): Promise<T>
  /** Server-side apply, KEP-555. */
  apply<T extends KubeObject>(
    resource: Resource,
    object: T,
    options: { fieldManager: string; force?: boolean },
  ): Promise<T>
  /** Whether the object was there. */
  remove(resource: Resource, name: string, namespace?: string): Promise<boolean>
  /**
   * Events from a resource version on. Ends without error when the server closes the stream; a version that is too
   * old ends with a {@link KubeError} of status 410.
   */
  watch<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
  ): AsyncIterable<WatchEvent<T>>
  /** Any other call: subresources, proxies, discovery. Answers with any status. */
  raw(request: RawRequest): Promise<RawResponse>
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string } } }

/** An answer of the API server that is an error. */
export class KubeError extends Error {
  /** HTTP status. */
  readonly status: number
  /** The `reason` of the Status object, such as `Conflict`. */
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.name = 'KubeError'
    this.status = status
    this.reason = reason
  }
}
