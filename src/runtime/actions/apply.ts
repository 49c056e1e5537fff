import { type KubeClient, KubeError, type KubeObject, type Resource } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import { MeshError, messageOf } from '../shared/errors.ts'

/** What became of one object. */
export interface AppliedObject {
  /** `deployment.apps/web`, as kubectl names objects. */
  name: string
  outcome: 'applied' | 'failed'
  /** Of a failure. */
  reason?: string
}

interface ApiResource {
  name: string
  kind: string
  namespaced: boolean
}

/** How long a kind may take to be served after its CustomResourceDefinition was applied. */
const kindTimeoutMs = 20_000
const kindRetryMs = 200

/** Kinds by `group/version`, read from the API server once and again when a kind is missing. */
class KindDirectory {
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #known = new Map<string, ApiResource[]>()
  /** Groups whose definitions were applied in this run: their kinds may be a moment away. */
  readonly expected = new Set<string>()

  constructor(client: KubeClient, clock: Clock) {
    this.#client = client
    this.#clock = clock
  }

  async resource(apiVersion: string, kind: string): Promise<Resource> {
    const [version = '', group = ''] = apiVersion.split('/').toReversed()
    const deadlineMs = this.#clock.nowMs() + (this.expected.has(group) ? kindTimeoutMs : 0)
    for (;;) {
      const found = (await this.#kindsOf(apiVersion)).find((candidate) => candidate.kind === kind)
      if (found !== undefined) {
        return { group, version, plural: found.name, kind, namespaced: found.namespaced }
      }
      this.#known.delete(apiVersion)
      if (this.#clock.nowMs() >= deadlineMs) throw noSuchKind(apiVersion, kind)
      await this.#clock.sleep(kindRetryMs)
    }
  }

  async #kindsOf(apiVersion: string): Promise<ApiResource[]> {
    const known = this.#known.get(apiVersion)
    if (known !== undefined) return known
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const response = await this.#client.raw({ method: 'GET', path, headers: { accept: 'application/json' } })
    if (response.status === 404) return []
    if (response.status !== 200)
      throw new KubeError(response.status, 'Discovery', response.body.slice(0, 300))
    const list = JSON.parse(response.body) as { resources?: ApiResource[] }
    const kinds = (list.resources ?? []).filter(({ name }) => !name.includes('/'))
    this.#known.set(apiVersion, kinds)
    return kinds
  }
}

function noSuchKind(apiVersion: string, kind: string): MeshError {
  return new MeshError({
    code: 'MESH_APPLY_UNKNOWN_KIND',
    kind: 'environment',
    message: `the cluster has no kind ${kind} in ${apiVersion}`,
    next: ['Apply its CustomResourceDefinition first, such as: mesh install --crds | mesh apply -f -'],
  })
}

/**
 * Server-side apply (KEP-555) of objects in the order given. One that fails does not keep the others back.
 * @param options.namespace of objects that name none
 * @param options.observe called after each object
 */
export async function applyObjects(
  objects: readonly KubeObject[],
  client: KubeClient,
  options: {
    namespace: string
    fieldManager: string
    force: boolean
    clock: Clock
    observe?: (applied: AppliedObject) => void
  },
): Promise<AppliedObject[]> {
  const directory = new KindDirectory(client, options.clock)
  const results: AppliedObject[] = []
  for (const object of objects) {
    const applied = await applyOne(object, client, directory, options)
    options.observe?.(applied)
    results.push(applied)
  }
  return results
}

async function applyOne(
  object: KubeObject,
  client: KubeClient,
  directory: KindDirectory,
  options: { namespace: string; fieldManager: string; force: boolean },
): Promise<AppliedObject> {
  const [, group] = (object.apiVersion ?? '').split('/').toReversed()
  const name = `${(object.kind ?? '').toLowerCase()}${group === undefined ? '' : `.${group}`}/${object.metadata?.name}`
  try {
    const resource = await directory.resource(object.apiVersion ?? '', object.kind ?? '')
    const namespace = object.metadata.namespace ?? options.namespace
    const placed = resource.namespaced ? { ...object, metadata: { ...object.metadata, namespace } } : object
    await client.apply(resource, placed, { fieldManager: options.fieldManager, force: options.force })
    const definition = object as KubeObject & { spec?: { group?: string } }
    if (object.kind === 'CustomResourceDefinition') directory.expected.add(definition.spec?.group ?? '')
    return { name, outcome: 'applied' }
  } catch (thrown) {
    return { name, outcome: 'failed', reason: messageOf(thrown) }
  }
}
