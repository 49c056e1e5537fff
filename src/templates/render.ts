import { MeshError, messageOf } from '../runtime/shared/errors.ts'
import { renderTemplate, templatesIn } from './engine.ts'

/** A Kubernetes object as a template makes it. */
export interface RenderedObject {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  [field: string]: unknown
}

/**
 * Renders one template to data.
 * @param path such as `proxy/container.hbs`
 * @returns the document; `undefined` when the template came out blank
 * @throws MeshError `MESH_TEMPLATE`, a defect of ours
 */
export function renderDocument(path: string, context: object): unknown {
  try {
    return renderTemplate(path, context)
  } catch (thrown) {
    throw new MeshError({
      code: 'MESH_TEMPLATE',
      kind: 'bug',
      message: `the template ${path} does not render`,
      reason: messageOf(thrown),
      cause: thrown,
    })
  }
}

/** Kinds in the order in which they must be there for what follows; kinds not named come between. */
const kindsFirst = [
  'Namespace',
  'CustomResourceDefinition',
  'ServiceAccount',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'ConfigMap',
  'Secret',
  'Service',
]
const kindsLast = [
  'PodDisruptionBudget',
  'Deployment',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
]

function applyRank(kind: string): number {
  const early = kindsFirst.indexOf(kind)
  if (early !== -1) return early
  const late = kindsLast.indexOf(kind)
  return late === -1 ? kindsFirst.length : kindsFirst.length + 1 + late
}

/** In the order in which they can be applied to an empty cluster; equal kinds by namespace and name. */
export function inApplyOrder<T extends RenderedObject>(objects: readonly T[]): T[] {
  const key = (object: T) => `${object.metadata.namespace ?? ''}/${object.metadata.name}`
  return objects.toSorted(
    (a, b) => applyRank(a.kind) - applyRank(b.kind) || (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0),
  )
}

/**
 * Renders every template of a folder, one object each, in apply order. Templates that come out blank are left out.
 * @param folder such as `control-plane`
 * @throws MeshError `MESH_TEMPLATE`
 */
export function renderFolder(folder: string, context: object): RenderedObject[] {
  const objects: RenderedObject[] = []
  for (const path of templatesIn(folder)) {
    const document = renderDocument(path, context)
    if (document !== undefined) objects.push(asObject(document, path))
  }
  return inApplyOrder(objects)
}

function asObject(document: unknown, path: string): RenderedObject {
  const object = document as Partial<RenderedObject> | null
  if (object?.apiVersion === undefined || object.kind === undefined || object.metadata?.name === undefined) {
    throw new MeshError({
      code: 'MESH_TEMPLATE',
      kind: 'bug',
      message: `the template ${path} does not render a Kubernetes object`,
    })
  }
  return object as RenderedObject
}
