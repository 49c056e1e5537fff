import type { KubeList, ListOptions, WatchEvent } from '../../../kube/types.ts'
import type { StoredObject } from '../objects.ts'
import { compileFieldSelector } from '../selectors.ts'
import type { WatchOptions } from '../store.ts'
import { type ApiCore, type Operation, present } from './operation.ts'

const alwaysSelectable = ['metadata.name', 'metadata.namespace']

function checkFields(operation: Operation, selection: ListOptions): void {
  compileFieldSelector(selection.fieldSelector, [
    ...alwaysSelectable,
    ...operation.definition.selectableFields,
  ])
}

function within(operation: Operation): { namespace?: string } {
  return operation.namespace === undefined ? {} : { namespace: operation.namespace }
}

/**
 * The chosen objects of a collection, in the version of the request.
 * @throws KubeError 400 for a selector that is wrong
 */
export function listObjects(
  core: ApiCore,
  operation: Operation,
  selection: ListOptions,
): KubeList<StoredObject> {
  checkFields(operation, selection)
  const { definition } = operation
  const list = core.store.list(definition.storage, { ...selection, ...within(operation) })
  return { ...list, items: list.items.map((object) => present(definition, object)) }
}

/**
 * Changes of a collection, in the version of the request.
 * @throws KubeError 400, or 410 when the version is too old
 */
export async function* watchObjects(
  core: ApiCore,
  operation: Operation,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<StoredObject>, void, undefined> {
  checkFields(operation, options)
  const { definition } = operation
  for await (const event of core.store.watch(definition.storage, { ...options, ...within(operation) })) {
    yield event.type === 'BOOKMARK' ? event : { ...event, object: present(definition, event.object) }
  }
}
