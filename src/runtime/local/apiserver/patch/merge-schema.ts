/**
 * How the parts of a kind merge: the `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`,
 * `x-kubernetes-map-type` and `x-kubernetes-patch-merge-key` of its OpenAPI schema, and nothing else. What is not
 * said is the default: objects merge key by key, lists are replaced.
 */
export interface MergeSchema {
  /** Of an object: its fields by name. */
  fields?: Record<string, MergeSchema>
  /** Of an object: every field that `fields` does not name. */
  values?: MergeSchema
  /** Of a list: each item. */
  items?: MergeSchema
  /** `map` lists are joined by their keys, `set` lists by their values. Atomic when absent. */
  listType?: 'map' | 'set'
  /** Fields that name an item of a `map` list in server-side apply. */
  keys?: string[]
  /** Values that keys have when an item lacks them. */
  keyDefaults?: Record<string, string | number>
  /** The field that names an item in a strategic merge patch, when it merges lists. */
  patchMergeKey?: string
  /** A strategic merge patch joins this list of scalars instead of replacing it. */
  patchMergeScalars?: boolean
  /** The whole value has one owner in server-side apply. */
  atomic?: boolean
}

/** The schema of a field of an object. */
export function fieldSchema(schema: MergeSchema | undefined, name: string): MergeSchema | undefined {
  return schema?.fields?.[name] ?? schema?.values
}
