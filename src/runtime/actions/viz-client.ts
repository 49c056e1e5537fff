import { resources } from '../kube/resources.ts'
import { type KubeClient, KubeError, type RawResponse } from '../kube/types.ts'
import { MeshError } from '../shared/errors.ts'
import { labels } from '../shared/labels.ts'
import {
  type EdgesAnswer,
  type EdgesQuery,
  encodeEdgesQuery,
  encodeStatQuery,
  type StatAnswer,
  type StatQuery,
  type TargetsAnswer,
  type VizErrorAnswer,
  vizApiName,
  vizApiPort,
} from '../shared/viz-api.ts'

/** Asks metrics-api, by way of the API server's proxy of Services: whoever may use that needs nothing else open. */
export interface VizClient {
  /** Namespace that viz was found in. */
  readonly namespace: string
  stat(query: StatQuery): Promise<StatAnswer>
  edges(query: EdgesQuery): Promise<EdgesAnswer>
  targets(): Promise<TargetsAnswer>
}

/**
 * Finds viz, by the label of its namespace unless that is given.
 * @throws MeshError `MESH_VIZ_NOT_INSTALLED`; the calls besides `MESH_VIZ_UNAVAILABLE`, `MESH_VIZ_REQUEST`
 */
export async function connectViz(kube: KubeClient, namespace?: string): Promise<VizClient> {
  const found = namespace ?? (await findNamespace(kube))
  const ask = async <T>(path: string, query?: URLSearchParams): Promise<T> => {
    const service = `/api/v1/namespaces/${encodeURIComponent(found)}/services/http:${vizApiName}:${vizApiPort}`
    const suffix = query === undefined ? '' : `?${query}`
    const response = await kube.raw({ method: 'GET', path: `${service}/proxy${path}${suffix}` })
    return readAnswer<T>(response, found)
  }
  return {
    namespace: found,
    stat: (query) => ask('/api/v1/stat', encodeStatQuery(query)),
    edges: (query) => ask('/api/v1/edges', encodeEdgesQuery(query)),
    targets: () => ask('/api/v1/targets'),
  }
}

async function findNamespace(kube: KubeClient): Promise<string> {
  const { items } = await kube.list(resources.namespaces, { labelSelector: `${labels.extension}=viz` })
  const [namespace] = items
  if (namespace === undefined) throw notInstalled('no namespace has the label linkerd.io/extension=viz')
  return namespace.metadata.name
}

function readAnswer<T>({ status, body }: RawResponse, namespace: string): T {
  const answer = parse(body)
  if (status === 200 && answer !== undefined) return answer as T
  const vizError = (answer as Partial<VizErrorAnswer> | undefined)?.error
  if (vizError !== undefined) throw refused(vizError.message, status)
  const reason = (answer as { message?: string } | undefined)?.message ?? `it answered with status ${status}`
  if (status === 404) throw notInstalled(reason)
  if (status === 401 || status === 403) throw new KubeError(status, 'Forbidden', reason)
  throw new MeshError({
    code: 'MESH_VIZ_UNAVAILABLE',
    kind: 'environment',
    message: `${vizApiName} in the namespace ${namespace} does not answer`,
    reason,
    next: [
      `kubectl -n ${namespace} rollout status deploy/${vizApiName}`,
      `kubectl -n ${namespace} logs deploy/${vizApiName} -c ${vizApiName}`,
    ],
  })
}

function parse(body: string): object | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function refused(message: string, status: number): MeshError {
  return new MeshError({
    code: 'MESH_VIZ_REQUEST',
    kind: status >= 500 ? 'bug' : 'usage',
    message: `${vizApiName} refused the request: ${message}`,
    next: status >= 500 ? [] : ['Is it of the same version as this command? See: mesh version'],
  })
}

function notInstalled(reason: string): MeshError {
  return new MeshError({
    code: 'MESH_VIZ_NOT_INSTALLED',
    kind: 'environment',
    message: 'viz is not installed on this cluster',
    reason,
    next: ['mesh viz install | kubectl apply -f -'],
  })
}
