import { isObject } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import { applyMergePatch } from '../patch/merge-patch.ts'
import { applyConfiguration } from '../patch/server-side-apply.ts'
import { applyStrategicMerge } from '../patch/strategic-merge.ts'
import { badRequest, StatusError } from '../status.ts'
import { identified } from './checks.ts'
import { createObject, writerOf } from './create.ts'
import type { ApiCore, Operation } from './operation.ts'
import { type Change, updateObject } from './update.ts'

/** The patch formats by their media types. */
export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const

export type PatchType = (typeof patchTypes)[keyof typeof patchTypes]

/** The patch as a function from the present object to the new one. */
export function patchFunction(operation: Operation, type: PatchType, patch: unknown): Change {
  const { definition } = operation
  switch (type) {
    case patchTypes.json:
      return (current) => applyJsonPatch(current, patch)
    case patchTypes.merge:
      if (!isObject(patch)) throw badRequest('a merge patch is an object')
      return (current) => applyMergePatch(current, patch)
    case patchTypes.strategic:
      if (definition.custom) {
        const accepted = `${patchTypes.json}, ${patchTypes.merge}, ${patchTypes.apply}`
        const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`
        throw new StatusError(415, 'UnsupportedMediaType', message)
      }
      return (current) => applyStrategicMerge(current, patch, definition.mergeSchema)
    case patchTypes.apply:
      throw badRequest('server-side apply is not a patch of this subresource')
  }
}

async function applyObject(
  core: ApiCore,
  operation: Operation,
  body: unknown,
  force: boolean,
): Promise<StoredObject> {
  if (isObject(body) && (!body.apiVersion || !body.kind)) {
    throw badRequest('invalid object type: apiVersion and kind are required for apply patches')
  }
  const configuration = identified(operation, body)
  if (configuration.metadata.managedFields?.length) {
    throw badRequest('metadata.managedFields must be nil')
  }
  const { definition, namespace, name = '' } = operation
  if (!core.store.get(definition.storage, name, namespace) && operation.subresource === undefined) {
    return createObject(core, operation, configuration, true)
  }
  const writer = writerOf(core, operation, 'Apply')
  const change: Change = (current) =>
    applyConfiguration(current, configuration, definition.mergeSchema, writer, force)
  return updateObject(core, operation, change, true)
}

/**
 * PATCH in any of its formats.
 * @param force take over fields that others own, in a server-side apply
 * @throws KubeError as {@link updateObject}, and 409 for conflicts of server-side apply
 */
export function patchObject(
  core: ApiCore,
  operation: Operation,
  type: PatchType,
  patch: unknown,
  force = false,
): Promise<StoredObject> {
  if (type === patchTypes.apply) return applyObject(core, operation, patch, force)
  return updateObject(core, operation, patchFunction(operation, type, patch))
}
