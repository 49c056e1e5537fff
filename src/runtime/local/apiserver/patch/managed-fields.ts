import { isObject, jsonEqual } from '../json.ts'
import type { ManagedFieldsEntry, StoredMeta, StoredObject } from '../objects.ts'
import { compareFields, difference, type FieldSet, union } from './field-set.ts'
import type { MergeSchema } from './merge-schema.ts'

/** Who writes, how, and when. */
export interface Writer {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  subresource?: string | undefined
  /** RFC 3339. */
  time: string
}

const serverMetadata = [
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'generation',
  'managedFields',
  'name',
  'namespace',
  'resourceVersion',
  'selfLink',
  'uid',
]

/** An object without what nobody owns: its type, its name and what the server sets. */
export function ownable(object: unknown): Record<string, unknown> {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object as Record<string, unknown>
  const kept = Object.entries(isObject(metadata) ? metadata : {}).filter(
    ([key]) => !serverMetadata.includes(key),
  )
  return kept.length === 0 ? rest : { metadata: Object.fromEntries(kept), ...rest }
}

/** Whether an entry is the writer's own. */
export function isOwn(entry: ManagedFieldsEntry, writer: Writer): boolean {
  return (
    entry.manager === writer.manager &&
    entry.operation === writer.operation &&
    entry.apiVersion === writer.apiVersion &&
    (entry.subresource ?? '') === (writer.subresource ?? '')
  )
}

function entryOf(writer: Writer, fields: FieldSet): ManagedFieldsEntry {
  const { manager, operation, apiVersion, subresource, time } = writer
  return {
    manager,
    operation,
    apiVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource ? { subresource } : {}),
  }
}

/** Gives the writer exactly these fields; an unchanged entry keeps its time. */
export function withOwnFields(
  entries: readonly ManagedFieldsEntry[],
  writer: Writer,
  fields: FieldSet | undefined,
): ManagedFieldsEntry[] {
  const own = entries.find((entry) => isOwn(entry, writer))
  const others = entries.filter((entry) => entry !== own)
  if (!fields || Object.keys(fields).length === 0) return others
  if (own && jsonEqual(own.fieldsV1, fields)) return [...entries]
  return [...others, entryOf(writer, fields)]
}

/** Takes fields away from everybody but the writer. */
export function takeFromOthers(
  entries: readonly ManagedFieldsEntry[],
  writer: Writer,
  fields: FieldSet | undefined,
): ManagedFieldsEntry[] {
  if (!fields) return [...entries]
  return entries.flatMap((entry) => {
    if (isOwn(entry, writer)) return [entry]
    const rest = difference(entry.fieldsV1 as FieldSet, fields)
    return rest ? [{ ...entry, fieldsV1: rest }] : []
  })
}

/** The fields that the writer owns so far. */
export function ownFields(entries: readonly ManagedFieldsEntry[], writer: Writer): FieldSet | undefined {
  return entries.find((entry) => isOwn(entry, writer))?.fieldsV1 as FieldSet | undefined
}

/**
 * Records a plain write in `metadata.managedFields` of the new object: the writer owns what it changed.
 * @param old undefined for a new object
 */
export function trackUpdate(
  old: StoredObject | undefined,
  object: StoredObject,
  schema: MergeSchema,
  writer: Writer,
): void {
  const before = old?.metadata.managedFields ?? []
  const isReset =
    (object.metadata.managedFields ?? []).length === 0 && object.metadata.managedFields !== undefined
  const kept = isReset && old ? [] : before
  const { changed, removed } = compareFields(ownable(old ?? { metadata: {} }), ownable(object), schema)
  const own = difference(union(ownFields(kept, writer), changed), removed)
  const others = takeFromOthers(kept, writer, union(changed, removed))
  setManagedFields(object.metadata, withOwnFields(others, writer, own))
}

export function setManagedFields(metadata: StoredMeta, entries: ManagedFieldsEntry[]): void {
  if (entries.length === 0) delete metadata.managedFields
  else metadata.managedFields = entries
}
