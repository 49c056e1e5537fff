import type { ListOptions } from '../../../kube/types.ts'
import type { DeleteOptions } from '../deletion.ts'
import type { StoredObject } from '../objects.ts'
import { type ApiCore, type Operation, present } from './operation.ts'
import { listObjects } from './read.ts'
import { currentObject } from './update.ts'

/**
 * DELETE: admission, then removal or the mark of it.
 * @returns the object as it was last, and whether it is gone
 * @throws KubeError 403, 404 or 409
 */
export async function deleteObject(
  core: ApiCore,
  operation: Operation,
  options: DeleteOptions = {},
): Promise<{ object: StoredObject; gone: boolean }> {
  const current = currentObject(core, operation)
  const request = { ...operation, operation: 'DELETE' as const, object: undefined, oldObject: current }
  await core.admission.mutateDelete(request)
  await core.admission.validate(request)
  if (operation.dryRun) return { object: current, gone: true }
  const { definition } = operation
  const ref = { name: current.metadata.name, namespace: current.metadata.namespace }
  const { object, gone } = core.store.remove(definition.storage, ref, options)
  return { object: present(definition, object), gone }
}

/** Deletes every chosen object of a collection. */
export async function deleteCollection(
  core: ApiCore,
  operation: Operation,
  selection: ListOptions,
  options: DeleteOptions,
): Promise<StoredObject[]> {
  const { items } = listObjects(core, operation, selection)
  for (const { metadata } of items) {
    const one = { ...operation, name: metadata.name, namespace: metadata.namespace }
    await deleteObject(core, one, options).catch((error: unknown) => {
      if ((error as { reason?: string }).reason !== 'NotFound') throw error
    })
  }
  return items
}
