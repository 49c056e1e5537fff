import { isObject } from '../json.ts'
import type { ManagedFieldsEntry, StoredObject } from '../objects.ts'
import { StatusError } from '../status.ts'
import {
  compareFields,
  difference,
  type FieldSet,
  fieldsOf,
  intersection,
  pathsOf,
  removable,
  union,
} from './field-set.ts'
import {
  isOwn,
  ownable,
  ownFields,
  setManagedFields,
  takeFromOthers,
  type Writer,
  withOwnFields,
} from './managed-fields.ts'
import type { MergeSchema } from './merge-schema.ts'
import { mergeTyped, removeFields } from './typed-merge.ts'

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([, item]) => item !== null)
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutNulls(item)]))
}

function conflictError(conflicts: readonly { entry: ManagedFieldsEntry; fields: FieldSet }[]): StatusError {
  const causes = conflicts.flatMap(({ entry, fields }) =>
    pathsOf(fields).map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${entry.manager}"${entry.operation === 'Update' ? ` using ${entry.apiVersion}` : ''}`,
      field,
    })),
  )
  const lines = causes.map((cause) => `${cause.message}: ${cause.field}`)
  const list = lines.length === 1 ? lines[0] : `\n${lines.map((line) => `- ${line}`).join('\n')}`
  const plural = causes.length === 1 ? 'conflict' : 'conflicts'
  const message = `Apply failed with ${causes.length} ${plural}: ${list}`
  return new StatusError(409, 'Conflict', message, { causes })
}

/**
 * Server-side apply (KEP-555): lays a configuration over the live object, removes what the manager applied before
 * and no longer names, and records who owns which field.
 * @returns the new object, to be defaulted, validated and admitted
 * @throws KubeError 409 with a cause for each field that another manager owns, unless forced
 */
export function applyConfiguration(
  live: StoredObject,
  configuration: StoredObject,
  schema: MergeSchema,
  writer: Writer,
  force: boolean,
): StoredObject {
  const applied = withoutNulls(configuration) as StoredObject
  const entries = live.metadata.managedFields ?? []
  const wanted = fieldsOf(ownable(applied), schema)
  const merged = mergeTyped(ownable(live), ownable(applied), schema)
  const { changed } = compareFields(ownable(live), merged, schema)
  const conflicts = entries
    .filter((entry) => !isOwn(entry, writer))
    .map((entry) => ({ entry, fields: intersection(entry.fieldsV1 as FieldSet, changed) }))
    .filter(
      (conflict): conflict is { entry: ManagedFieldsEntry; fields: FieldSet } =>
        conflict.fields !== undefined,
    )
  if (conflicts.length > 0 && !force) throw conflictError(conflicts)
  const others = takeFromOthers(entries, writer, changed)
  const kept = others
    .filter((entry) => !isOwn(entry, writer))
    .reduce<FieldSet | undefined>((sum, entry) => union(sum, entry.fieldsV1 as FieldSet), wanted)
  const dropped = removable(difference(ownFields(entries, writer), wanted), kept)
  const pruned = (dropped ? removeFields(merged, dropped, schema) : merged) as Record<string, unknown>
  const result = {
    ...pruned,
    apiVersion: applied.apiVersion,
    kind: applied.kind,
    metadata: {
      ...live.metadata,
      labels: undefined,
      annotations: undefined,
      ownerReferences: undefined,
      finalizers: undefined,
      ...(pruned.metadata as object | undefined),
    },
  } as unknown as StoredObject
  setManagedFields(result.metadata, withOwnFields(others, writer, wanted))
  return result
}
