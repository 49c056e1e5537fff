import type { StoredObject } from '../objects.ts'
import { apiVersionOf, type KindDefinition } from '../registry/definition.ts'
import { badRequest } from '../status.ts'
import { type IncludeObject, renderTable } from '../tables/table.ts'
import type { ApiRequest } from './message.ts'
import { chooseForm, type ObjectForm } from './negotiate.ts'

/** How objects of a kind are put into answers to one request. */
export interface Forms {
  one(object: StoredObject): unknown
  list(objects: readonly StoredObject[], resourceVersion: string): unknown
  /** An object in a watch event. */
  event(object: StoredObject): unknown
  bookmark(resourceVersion: string, annotations?: Record<string, string>): unknown
}

function includeOf(request: ApiRequest): IncludeObject {
  const given = request.query.get('includeObject') || 'Metadata'
  if (given === 'None' || given === 'Metadata' || given === 'Object') return given
  throw badRequest(`includeObject: Unsupported value: ${JSON.stringify(given)}`)
}

function bookmarkMeta(
  resourceVersion: string,
  annotations?: Record<string, string>,
): Record<string, unknown> {
  return { resourceVersion, creationTimestamp: null, ...(annotations ? { annotations } : {}) }
}

function plainForms({ resource, listKind }: KindDefinition): Forms {
  const apiVersion = apiVersionOf(resource)
  const same = (object: StoredObject) => object
  return {
    one: same,
    event: same,
    list: (items, resourceVersion) => ({ kind: listKind, apiVersion, metadata: { resourceVersion }, items }),
    bookmark: (version, annotations) => ({
      kind: resource.kind,
      apiVersion,
      metadata: bookmarkMeta(version, annotations),
    }),
  }
}

function metadataForms(version: string): Forms {
  const apiVersion = `meta.k8s.io/${version}`
  const one = (object: StoredObject) => ({
    kind: 'PartialObjectMetadata',
    apiVersion,
    metadata: object.metadata,
  })
  return {
    one,
    event: one,
    list: (items, resourceVersion) => ({
      kind: 'PartialObjectMetadataList',
      apiVersion,
      metadata: { resourceVersion },
      items: items.map(one),
    }),
    bookmark: (resourceVersion, annotations) => ({
      kind: 'PartialObjectMetadata',
      apiVersion,
      metadata: bookmarkMeta(resourceVersion, annotations),
    }),
  }
}

function tableForms(
  definition: KindDefinition,
  request: ApiRequest,
  version: string,
  nowMs: () => number,
): Forms {
  const include = includeOf(request)
  const render = (
    objects: readonly StoredObject[],
    resourceVersion: string | undefined,
    withColumns = true,
  ) =>
    renderTable(definition, objects, {
      include,
      version,
      nowMs: nowMs(),
      withColumns,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    })
  let isFirst = true
  const columnsOnce = () => {
    const first = isFirst
    isFirst = false
    return first
  }
  return {
    one: (object) => render([object], object.metadata.resourceVersion),
    list: (objects, resourceVersion) => render(objects, resourceVersion),
    event: (object) => render([object], object.metadata.resourceVersion, columnsOnce()),
    bookmark(resourceVersion, annotations) {
      const table = render([], resourceVersion, columnsOnce())
      const apiVersion = `meta.k8s.io/${version}`
      const object = {
        kind: 'PartialObjectMetadata',
        apiVersion,
        metadata: bookmarkMeta(resourceVersion, annotations),
      }
      return { ...table, rows: [{ cells: [], object }] }
    },
  }
}

/**
 * The form that a request asks for.
 * @throws KubeError 406 when the server cannot make any that the client accepts
 */
export function formsFor(definition: KindDefinition, request: ApiRequest, nowMs: () => number): Forms {
  const form: ObjectForm = chooseForm(request.headers.accept)
  if (form.as === 'object') return plainForms(definition)
  if (form.as === 'PartialObjectMetadata') return metadataForms(form.version)
  return tableForms(definition, request, form.version, nowMs)
}
