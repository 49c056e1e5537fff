import type { IncomingMessage } from 'node:http'
import { MeshError } from '../shared/errors.ts'
import {
  KubeError,
  type KubeObject,
  type ListOptions,
  type Resource,
  type WatchEvent,
  type WriteOptions,
} from './types.ts'

export function watchEvent<T>(line: string): WatchEvent<T> {
  const event = JSON.parse(line) as { type: string; object: unknown }
  if (event.type === 'ERROR') {
    const status = event.object as { code?: number; reason?: string; message?: string }
    throw new KubeError(status.code ?? 500, status.reason ?? 'Unknown', status.message ?? 'watch failed')
  }
  return event as WatchEvent<T>
}

export function statusError(httpStatus: number, body: string): KubeError {
  try {
    const status = JSON.parse(body) as { kind?: string; reason?: string; message?: string }
    if (status.kind === 'Status') {
      return new KubeError(httpStatus, status.reason ?? 'Unknown', status.message ?? `HTTP ${httpStatus}`)
    }
  } catch {
    // Not every answer is JSON: proxies and overloaded servers send text.
  }
  return new KubeError(httpStatus, 'Unknown', `HTTP ${httpStatus}: ${body.trim().slice(0, 200)}`)
}

export function notTheApi(server: string, reason: string): MeshError {
  return new MeshError({
    code: 'MESH_KUBE_UNREACHABLE',
    kind: 'environment',
    message: `${server} does not answer as a Kubernetes API does`,
    reason,
    next: ['kubectl cluster-info', 'Is the server of the kubeconfig right, and no login page in between?'],
  })
}

export function selectorQuery(options: ListOptions): URLSearchParams {
  const query = new URLSearchParams()
  if (options.labelSelector !== undefined) query.set('labelSelector', options.labelSelector)
  if (options.fieldSelector !== undefined) query.set('fieldSelector', options.fieldSelector)
  return query
}

export function writeQuery(options: WriteOptions): URLSearchParams {
  const query = new URLSearchParams()
  if (options.fieldManager !== undefined) query.set('fieldManager', options.fieldManager)
  if (options.dryRun === true) query.set('dryRun', 'All')
  return query
}

export function withQuery(path: string, query: URLSearchParams): string {
  return query.size === 0 ? path : `${path}?${query}`
}

/** Items of a list lack their kind; callers should not. */
export function withKind<T extends KubeObject>(item: T, resource: Resource): T {
  item.kind ??= resource.kind
  item.apiVersion ??= apiVersionOf(resource)
  return item
}

export function typed<T extends KubeObject>(object: T, resource: Resource): T {
  return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind }
}

function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

export function flatHeaders(message: IncomingMessage): Record<string, string> {
  const entries = Object.entries(message.headers).map(([name, value]): [string, string] => [
    name,
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ])
  return Object.fromEntries(entries)
}
