import { type Applied, applyObjects } from '../kube/apply.ts'
import { Discovery } from '../kube/discovery.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'

export interface ApplyInputs {
  /** Of objects that name none; else the namespace of the context. */
  namespace?: string
  fieldManager: string
  /** Takes fields from other owners. */
  force: boolean
}

/**
 * Server-side apply of objects in the order given.
 * @param onApplied told of each object: `deployment.apps/web created`
 * @throws MeshError `MESH_APPLY_KIND`, `MESH_APPLY_REFUSED`; what was applied before stays
 */
export async function apply(
  objects: readonly KubeObject[],
  inputs: ApplyInputs,
  deps: { client: KubeClient; clock: Clock; onApplied: (line: string) => void },
): Promise<void> {
  const { namespace, fieldManager, force } = inputs
  const placed = namespace === undefined ? objects : await place(objects, namespace, deps.client)
  await applyObjects(deps.client, placed, {
    clock: deps.clock,
    fieldManager,
    force,
    onApplied: (applied) => deps.onApplied(describe(applied)),
  })
}

interface Definition extends KubeObject {
  spec?: { group?: string; scope?: string; names?: { kind?: string } }
}

/** Puts objects that name no namespace into one, where their kind has namespaces. */
async function place(
  objects: readonly KubeObject[],
  namespace: string,
  client: KubeClient,
): Promise<KubeObject[]> {
  const discovery = new Discovery(client)
  const defined = new Map(
    objects
      .filter(({ kind }) => kind === 'CustomResourceDefinition')
      .map(({ spec }: Definition) => [`${spec?.group}/${spec?.names?.kind}`, spec?.scope === 'Namespaced']),
  )
  const placed: KubeObject[] = []
  for (const object of objects) {
    const { apiVersion = '', kind = '', metadata } = object
    const found = await discovery.find(apiVersion, kind)
    const isNamespaced = found?.namespaced ?? defined.get(`${apiVersion.split('/')[0]}/${kind}`) ?? false
    const needsPlace = isNamespaced && metadata.namespace === undefined
    placed.push(needsPlace ? { ...object, metadata: { ...metadata, namespace } } : object)
  }
  return placed
}

/** As kubectl says it. */
function describe({ apiVersion, kind, name, outcome }: Applied): string {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : ''
  return `${kind.toLowerCase()}${group}/${name} ${outcome}`
}
