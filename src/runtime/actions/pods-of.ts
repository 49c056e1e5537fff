import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject, Resource } from '../kube/types.ts'
import { MeshError } from '../shared/errors.ts'
import type { StatKind } from '../shared/viz-api.ts'
import { parseResource } from './viz-resource.ts'

/** `metav1.LabelSelector`. */
export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

/** The parts of a pod that commands look at. */
export interface PodObject extends KubeObject {
  spec?: {
    serviceAccountName?: string
    containers?: PodContainer[]
    initContainers?: PodContainer[]
  }
  status?: { phase?: string; podIP?: string }
}

export interface PodContainer {
  name: string
  image?: string
  env?: { name: string; value?: string }[]
  ports?: { name?: string; containerPort: number }[]
}

interface Selecting extends KubeObject {
  spec?: { selector?: LabelSelector & Record<string, unknown> }
}

const kinds: Partial<Record<StatKind, Resource>> = {
  deployment: resources.deployments,
  daemonset: resources.daemonSets,
  statefulset: resources.statefulSets,
  replicaset: resources.replicaSets,
  job: resources.jobs,
  service: resources.services,
}

/** A label selector as the API takes it in a query, such as `app=web,tier in (a,b)`. */
export function selectorText(selector: LabelSelector): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`)
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    switch (operator) {
      case 'Exists':
        return key
      case 'DoesNotExist':
        return `!${key}`
      case 'NotIn':
        return `${key} notin (${values.join(',')})`
      default:
        return `${key} in (${values.join(',')})`
    }
  })
  return [...labels, ...expressions].join(',')
}

/**
 * The pods of what a command line names: `po/web-1`, `deploy/web`, `svc/web`, `ns/shop`, or a bare pod's name.
 * @returns sorted by name, pods that have ended left out
 * @throws MeshError `MESH_VIZ_RESOURCE`, `MESH_RESOURCE_NOT_FOUND`
 */
export async function podsOf(client: KubeClient, word: string, namespace: string): Promise<PodObject[]> {
  const { kind, name } = word.includes('/') ? parseResource(word) : { kind: 'pod' as const, name: word }
  if (name === undefined) throw notFound(word, namespace)
  if (kind === 'pod') {
    const pod = await client.read<PodObject>(resources.pods, name, namespace)
    if (pod === undefined) throw notFound(word, namespace)
    return [pod]
  }
  if (kind === 'namespace') return running(await listPods(client, name, undefined))
  const resource = kinds[kind]
  const object = resource === undefined ? undefined : await client.read<Selecting>(resource, name, namespace)
  const selector = object?.spec?.selector
  if (selector === undefined) throw notFound(word, namespace)
  const isService = kind === 'service'
  const text = selectorText(isService ? { matchLabels: selector as Record<string, string> } : selector)
  return running(await listPods(client, namespace, text))
}

async function listPods(
  client: KubeClient,
  namespace: string,
  labelSelector: string | undefined,
): Promise<PodObject[]> {
  const options = labelSelector === undefined || labelSelector === '' ? {} : { labelSelector }
  return (await client.list<PodObject>(resources.pods, { namespace, ...options })).items
}

function running(pods: readonly PodObject[]): PodObject[] {
  return pods
    .filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed')
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
}

function notFound(word: string, namespace: string): MeshError {
  return new MeshError({
    code: 'MESH_RESOURCE_NOT_FOUND',
    kind: 'usage',
    message: `there is no ${word} in the namespace ${namespace}, or it has no pods of its own`,
    next: [`kubectl -n ${namespace} get all`, 'Name another namespace with -n.'],
  })
}

/** The container with a name, plain or native sidecar. */
export function containerOf(pod: PodObject, name: string): PodContainer | undefined {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find(
    (container) => container.name === name,
  )
}

/** GET of a port of a pod, through the API server. */
export async function getFromPod(
  client: KubeClient,
  pod: PodObject,
  port: number,
  path: string,
): Promise<string> {
  const { name, namespace } = pod.metadata
  const response = await client.raw({
    method: 'GET',
    path: `/api/v1/namespaces/${namespace}/pods/${name}:${port}/proxy${path}`,
  })
  if (response.status === 200) return response.body
  throw new MeshError({
    code: 'MESH_POD_UNREACHABLE',
    kind: 'environment',
    message: `port ${port} of the pod ${namespace}/${name} does not answer`,
    reason: `the API server answered ${response.status}: ${response.body.trim().slice(0, 300)}`,
    next: [`kubectl -n ${namespace} describe pod ${name}`],
  })
}
