import type { KubeClient } from '../../../kube/types.ts'
import { type Cluster, splitKey } from '../../cluster.ts'
import type { Namespace } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'

/** Pods take their time to end; look again after this. */
const emptyCheckMs = 100

interface ApiResource {
  name: string
  namespaced: boolean
  verbs: string[]
}

/** Empties namespaces that are being deleted, then lets them go. */
export function serveNamespaces(cluster: Cluster): void {
  const queue = new KeyedQueue((key) => reconcile(cluster, splitKey(key).name), cluster)
  cluster.cache.namespaces.onChange(({ after }) => {
    if (after?.metadata.deletionTimestamp !== undefined) queue.add(`/${after.metadata.name}`)
  })
}

async function reconcile(cluster: Cluster, name: string): Promise<number | undefined> {
  const namespace = cluster.cache.namespaces.get(name)
  if (namespace?.metadata.deletionTimestamp === undefined) return undefined
  const paths = await collectionPaths(cluster.client, name)
  const left = await Promise.all(paths.map((path) => empty(cluster.client, path)))
  if (left.some((isLeft) => isLeft)) return emptyCheckMs
  await finalize(cluster.client, namespace)
  return undefined
}

/** Paths of everything that a namespace can hold. */
async function collectionPaths(client: KubeClient, namespace: string): Promise<string[]> {
  const groups = await readJson<{ groups: { preferredVersion: { groupVersion: string } }[] }>(client, '/apis')
  const roots = [
    '/api/v1',
    ...groups.groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`),
  ]
  const lists = await Promise.all(
    roots.map(async (root) => {
      const { resources } = await readJson<{ resources: ApiResource[] }>(client, root)
      return resources
        .filter(({ name, namespaced, verbs }) => {
          return namespaced && !name.includes('/') && verbs.includes('deletecollection')
        })
        .map(({ name }) => `${root}/namespaces/${namespace}/${name}`)
    }),
  )
  return lists.flat()
}

/** Deletes a collection; answers whether something of it is still there. */
async function empty(client: KubeClient, path: string): Promise<boolean> {
  const before = await readJson<{ items: { metadata: { deletionTimestamp?: string } }[] }>(client, path)
  if (before.items.every(({ metadata }) => metadata.deletionTimestamp !== undefined)) {
    return before.items.length > 0
  }
  const { status } = await client.raw({ method: 'DELETE', path })
  if (status >= 400 && status !== 404) throw new Error(`DELETE ${path} answered ${status}`)
  return true
}

async function finalize(client: KubeClient, namespace: Namespace): Promise<void> {
  const path = `/api/v1/namespaces/${namespace.metadata.name}/finalize`
  const { resourceVersion: _, ...metadata } = namespace.metadata
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata, spec: { finalizers: [] } })
  const headers = { 'content-type': 'application/json' }
  const { status } = await client.raw({ method: 'PUT', path, headers, body })
  if (status >= 400 && status !== 404) throw new Error(`PUT ${path} answered ${status}`)
}

async function readJson<T>(client: KubeClient, path: string): Promise<T> {
  const { status, body } = await client.raw({ method: 'GET', path })
  if (status !== 200) throw new Error(`GET ${path} answered ${status}`)
  return JSON.parse(body) as T
}
