import { cloneJson, isObject, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { defineKind, type ScalePaths } from '../registry/definition.ts'
import { badRequest, methodNotAllowed } from '../status.ts'
import { selectorText } from '../tables/column.ts'
import type { ApiCore, Operation } from '../verbs/operation.ts'
import { type PatchType, patchFunction, patchTypes } from '../verbs/patch.ts'
import { currentObject, updateObject } from '../verbs/update.ts'
import { decodeBody, mediaTypeOf } from './body.ts'
import { type ApiRequest, type ApiResponse, jsonResponse } from './message.ts'

const scaleKind = defineKind({
  group: 'autoscaling',
  version: 'v1',
  plural: 'scales',
  kind: 'Scale',
  namespaced: true,
})

function numberAt(object: StoredObject, path: string): number {
  const value = valueAt(object, path.split('.'))
  return typeof value === 'number' ? value : 0
}

function scaleOf(object: StoredObject, paths: ScalePaths): StoredObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = paths.selector === undefined ? undefined : valueAt(object, paths.selector.split('.'))
  const text =
    typeof selector === 'string' ? selector : isObject(selector) ? selectorText(selector) : undefined
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp } as StoredObject['metadata'],
    spec: { replicas: numberAt(object, paths.specReplicas) },
    status: {
      replicas: numberAt(object, paths.statusReplicas),
      ...(text === undefined ? {} : { selector: text }),
    },
  }
}

function withReplicas(object: StoredObject, paths: ScalePaths, scale: unknown): StoredObject {
  const replicas = valueAt(scale, ['spec', 'replicas']) ?? 0
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
    throw badRequest('spec.replicas must be a whole number, zero or more')
  }
  const changed = cloneJson(object)
  const keys = paths.specReplicas.split('.')
  const last = keys.pop() ?? ''
  let parent: Record<string, unknown> = changed
  for (const key of keys) {
    if (!isObject(parent[key])) parent[key] = {}
    parent = parent[key] as Record<string, unknown>
  }
  parent[last] = replicas
  const version = valueAt(scale, ['metadata', 'resourceVersion'])
  if (typeof version === 'string' && version !== '') changed.metadata.resourceVersion = version
  return changed
}

/** The scale subresource, in the shape of `autoscaling/v1 Scale`. */
export async function answerScale(
  core: ApiCore,
  request: ApiRequest,
  operation: Operation,
  paths: ScalePaths,
): Promise<ApiResponse> {
  const onParent = { ...operation, subresource: undefined }
  switch (request.method) {
    case 'GET':
      return jsonResponse(200, scaleOf(currentObject(core, onParent), paths))
    case 'PUT': {
      const scale = decodeBody(request)
      const updated = await updateObject(core, onParent, (object) => withReplicas(object, paths, scale))
      return jsonResponse(200, scaleOf(updated, paths))
    }
    case 'PATCH': {
      const change = patchFunction(
        { ...operation, definition: scaleKind },
        patchTypeOf(request),
        decodeBody(request),
      )
      const updated = await updateObject(core, onParent, (object) =>
        withReplicas(object, paths, change(scaleOf(object, paths))),
      )
      return jsonResponse(200, scaleOf(updated, paths))
    }
    default:
      throw methodNotAllowed('the server does not allow this method on the requested resource')
  }
}

function patchTypeOf(request: ApiRequest): PatchType {
  const type = mediaTypeOf(request)
  return Object.values(patchTypes).find((patchType) => patchType === type) ?? patchTypes.merge
}
