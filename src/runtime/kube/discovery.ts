import { MeshError } from '../shared/errors.ts'
import { type KubeClient, KubeError, type Resource } from './types.ts'

interface ApiResource {
  name: string
  kind: string
  namespaced: boolean
}

/**
 * Finds the resource of a kind by asking the server, https://kubernetes.io/docs/concepts/overview/kubernetes-api/.
 * Answers are kept; a kind that was not there is asked for again, since its CRD may have come meanwhile.
 */
export class Discovery {
  readonly #client: Pick<KubeClient, 'raw'>
  readonly #groups = new Map<string, Map<string, Resource>>()

  constructor(client: Pick<KubeClient, 'raw'>) {
    this.#client = client
  }

  /**
   * @param apiVersion such as `v1` or `apps/v1`
   * @returns undefined when the server does not know the kind
   */
  async find(apiVersion: string, kind: string): Promise<Resource | undefined> {
    const known = this.#groups.get(apiVersion)?.get(kind)
    if (known !== undefined) return known
    const resources = await this.#load(apiVersion)
    this.#groups.set(apiVersion, resources)
    return resources.get(kind)
  }

  async #load(apiVersion: string): Promise<Map<string, Resource>> {
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const answer = await this.#client.raw({ method: 'GET', path })
    if (answer.status === 404) return new Map()
    if (answer.status !== 200) {
      throw new KubeError(
        answer.status,
        'Unknown',
        `discovery of ${apiVersion} failed with HTTP ${answer.status}`,
      )
    }
    const [version = '', group = ''] = apiVersion.split('/').reverse()
    const list = parseList(answer.body, apiVersion)
    return new Map(
      list
        // Subresources, such as `pods/log`, have kinds of their own.
        .filter(({ name }) => !name.includes('/'))
        .map(({ name, kind, namespaced }) => [kind, { group, version, plural: name, kind, namespaced }]),
    )
  }
}

function parseList(body: string, apiVersion: string): ApiResource[] {
  try {
    return (JSON.parse(body) as { resources?: ApiResource[] }).resources ?? []
  } catch (error) {
    throw new MeshError({
      code: 'MESH_KUBE_UNREACHABLE',
      kind: 'environment',
      message: `The server does not answer discovery of ${apiVersion} as a Kubernetes API does`,
      next: ['kubectl api-resources'],
      cause: error,
    })
  }
}
