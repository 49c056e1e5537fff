import {
  type KubeClient,
  KubeError,
  type KubeList,
  type KubeObject,
  type ListOptions,
  type RawRequest,
  type RawResponse,
  type Resource,
  type WatchEvent,
  type WriteOptions,
} from '../../kube/types.ts'
import { internalUser } from './auth/authenticate.ts'
import type { HandlerContext } from './http/context.ts'
import { dispatch } from './http/dispatch.ts'
import type { ApiResponse } from './http/message.ts'
import { splitUrl } from './http/node-adapter.ts'
import { cloneJson } from './json.ts'
import type { StoredObject } from './objects.ts'
import { apiVersionOf } from './registry/definition.ts'
import { StatusError } from './status.ts'
import { createObject } from './verbs/create.ts'
import { deleteObject } from './verbs/delete.ts'
import type { Operation } from './verbs/operation.ts'
import { patchObject, patchTypes } from './verbs/patch.ts'
import { listObjects, watchObjects } from './verbs/read.ts'
import { currentObject, updateObject } from './verbs/update.ts'

interface Target {
  name?: string | undefined
  namespace?: string | undefined
  subresource?: string | undefined
}

async function bodyText(response: ApiResponse): Promise<string> {
  const { body } = response
  if (typeof body === 'string') return body
  if (body instanceof Uint8Array) return Buffer.from(body).toString()
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

function textHeaders(response: ApiResponse): Record<string, string> {
  const entries = Object.entries(response.headers)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )
}

/** A client that calls the server's verbs in this process, as `system:masters`; see {@link KubeClient}. */
export class InProcessClient implements KubeClient {
  readonly server = 'https://kubernetes.default.svc'
  readonly defaultNamespace = 'default'
  readonly #context: HandlerContext

  constructor(context: HandlerContext) {
    this.#context = context
  }

  async read<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    try {
      const operation = this.#operation(resource, { name, namespace })
      return cloneJson(currentObject(this.#context.core, operation)) as unknown as T
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined
      throw error
    }
  }

  async list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): Promise<KubeList<T>> {
    const operation = this.#operation(resource, { namespace: options.namespace })
    return cloneJson(listObjects(this.#context.core, operation, options)) as unknown as KubeList<T>
  }

  async create<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T> {
    const operation = this.#operation(resource, { namespace: object.metadata.namespace }, options)
    return this.#copy<T>(await createObject(this.#context.core, operation, object))
  }

  async replace<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T> {
    const operation = this.#operation(resource, object.metadata, options)
    const body = { ...object, apiVersion: apiVersionOf(operation.definition.resource) }
    return this.#copy<T>(await updateObject(this.#context.core, operation, () => body))
  }

  async mergePatch<T extends KubeObject>(
    resource: Resource,
    name: string,
    patch: unknown,
    options: WriteOptions & { namespace?: string; subresource?: string } = {},
  ): Promise<T> {
    const { namespace, subresource } = options
    const operation = this.#operation(resource, { name, namespace, subresource }, options)
    return this.#copy<T>(await patchObject(this.#context.core, operation, patchTypes.merge, patch))
  }

  async apply<T extends KubeObject>(
    resource: Resource,
    object: T,
    options: { fieldManager: string; force?: boolean },
  ): Promise<T> {
    const operation = this.#operation(resource, object.metadata, options)
    const { apiVersion = apiVersionOf(operation.definition.resource), kind = resource.kind } = object
    const body = { ...object, apiVersion, kind }
    const { core } = this.#context
    return this.#copy<T>(await patchObject(core, operation, patchTypes.apply, body, options.force ?? false))
  }

  async remove(resource: Resource, name: string, namespace?: string): Promise<boolean> {
    try {
      await deleteObject(this.#context.core, this.#operation(resource, { name, namespace }))
      return true
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return false
      throw error
    }
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const operation = this.#operation(resource, { namespace: options.namespace })
    const { resourceVersion, ...rest } = options
    for await (const event of watchObjects(this.#context.core, operation, {
      ...rest,
      fromVersion: resourceVersion,
    })) {
      yield cloneJson(event) as WatchEvent<T>
    }
  }

  async raw(request: RawRequest): Promise<RawResponse> {
    const { path, query } = splitUrl(request.path)
    const response = await dispatch(this.#context, {
      method: request.method,
      path,
      query,
      headers: { 'user-agent': 'mesh-local', ...lowerCased(request.headers ?? {}) },
      body: Buffer.from(request.body ?? ''),
      user: internalUser,
      signal: request.signal ?? new AbortController().signal,
    })
    return { status: response.status, headers: textHeaders(response), body: await bodyText(response) }
  }

  #copy<T extends KubeObject>(object: StoredObject): T {
    return cloneJson(object) as unknown as T
  }

  #operation(resource: Resource, target: Target, options: WriteOptions = {}): Operation {
    const definition = this.#context.core.registry.forResource(resource)
    if (!definition)
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    return {
      definition,
      name: target.name,
      namespace: resource.namespaced ? target.namespace : undefined,
      subresource: target.subresource,
      user: internalUser,
      dryRun: options.dryRun ?? false,
      fieldManager: options.fieldManager ?? 'mesh-local',
      fieldValidation: 'Ignore',
      warnings: [],
    }
  }
}

function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
