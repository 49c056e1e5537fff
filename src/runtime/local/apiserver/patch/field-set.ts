import { isObject, jsonEqual } from '../json.ts'
import { fieldSchema, type MergeSchema } from './merge-schema.ts'

/**
 * A set of field paths, in the form of `FieldsV1`: `f:NAME` is a field, `k:{…}` an item of a keyed list, `v:…` an
 * item of a set, `.` the node itself. A node without children is itself in the set. See KEP-555.
 */
export interface FieldSet {
  [element: string]: FieldSet
}

function isMember(node: FieldSet): boolean {
  return '.' in node || Object.keys(node).length === 0
}

/** Brings a node into its shortest form; undefined when nothing is left of it. */
function tidy(node: FieldSet, member: boolean): FieldSet | undefined {
  if (Object.keys(node).length === 0) return member ? {} : undefined
  return member ? { '.': {}, ...node } : node
}

function elements(node: FieldSet): [string, FieldSet][] {
  return Object.entries(node).filter(([element]) => element !== '.')
}

/** Name of an item of a keyed list. */
export function keyElement(item: unknown, schema: MergeSchema): string {
  const keys = [...(schema.keys ?? [])].sort()
  const fields = isObject(item) ? item : {}
  const pairs = keys.map((key) => [key, fields[key] ?? schema.keyDefaults?.[key] ?? null])
  return `k:${JSON.stringify(Object.fromEntries(pairs))}`
}

/** The items of a list by their path elements; undefined for a list that has one owner. */
export function listElements(
  list: readonly unknown[],
  schema: MergeSchema | undefined,
): Map<string, unknown> | undefined {
  if (schema?.listType === 'map') return new Map(list.map((item) => [keyElement(item, schema), item]))
  if (schema?.listType === 'set') return new Map(list.map((item) => [`v:${JSON.stringify(item)}`, item]))
  return undefined
}

/** All fields of a value. */
export function fieldsOf(value: unknown, schema: MergeSchema | undefined): FieldSet {
  if (schema?.atomic) return {}
  const result: FieldSet = {}
  if (Array.isArray(value)) {
    for (const [element, item] of listElements(value, schema) ?? []) {
      result[element] = schema?.listType === 'map' ? { '.': {}, ...fieldsOf(item, schema.items) } : {}
    }
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      if (item !== undefined) result[`f:${name}`] = fieldsOf(item, fieldSchema(schema, name))
    }
  }
  return result
}

export function union(left: FieldSet | undefined, right: FieldSet | undefined): FieldSet | undefined {
  if (!left || !right) return left ?? right
  const result: FieldSet = {}
  for (const element of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (element !== '.') result[element] = union(left[element], right[element]) as FieldSet
  }
  return tidy(result, isMember(left) || isMember(right))
}

export function intersection(left: FieldSet | undefined, right: FieldSet | undefined): FieldSet | undefined {
  if (!left || !right) return undefined
  const result: FieldSet = {}
  for (const [element, child] of elements(left)) {
    const common = intersection(child, right[element])
    if (common) result[element] = common
  }
  return tidy(result, isMember(left) && isMember(right))
}

export function difference(left: FieldSet | undefined, right: FieldSet | undefined): FieldSet | undefined {
  if (!left || !right) return left
  const result: FieldSet = {}
  for (const [element, child] of elements(left)) {
    const rest = difference(child, right[element])
    if (rest) result[element] = rest
  }
  return tidy(result, isMember(left) && !isMember(right))
}

/** Like {@link difference}, but a node stays out as long as anything below it is kept. */
export function removable(left: FieldSet | undefined, kept: FieldSet | undefined): FieldSet | undefined {
  if (!left || !kept) return left
  const result: FieldSet = {}
  for (const [element, child] of elements(left)) {
    const rest = removable(child, kept[element])
    if (rest) result[element] = rest
  }
  return tidy(result, false)
}

/** What changed between two values. */
export interface Comparison {
  /** New fields, and fields with another value. */
  changed: FieldSet | undefined
  /** Fields that are no longer there. */
  removed: FieldSet | undefined
}

/** Children of a value by path element, with the schema of each; undefined when it has one owner. */
function childrenOf(value: unknown, schema: MergeSchema | undefined): Map<string, unknown> | undefined {
  if (schema?.atomic) return undefined
  if (Array.isArray(value)) return listElements(value, schema)
  if (!isObject(value)) return undefined
  return new Map(Object.entries(value).map(([name, item]) => [`f:${name}`, item]))
}

function childSchema(element: string, schema: MergeSchema | undefined): MergeSchema | undefined {
  return element.startsWith('f:') ? fieldSchema(schema, element.slice(2)) : schema?.items
}

function fieldsOfChild(element: string, value: unknown, schema: MergeSchema | undefined): FieldSet {
  const fields = fieldsOf(value, childSchema(element, schema))
  return element.startsWith('k:') ? { '.': {}, ...fields } : fields
}

/** Compares two values field by field. */
export function compareFields(before: unknown, after: unknown, schema: MergeSchema | undefined): Comparison {
  if (jsonEqual(before, after)) return { changed: undefined, removed: undefined }
  const left = childrenOf(before, schema)
  const right = childrenOf(after, schema)
  if (!left || !right) return { changed: fieldsOf(after, schema), removed: undefined }
  const changed: FieldSet = {}
  const removed: FieldSet = {}
  for (const [element, value] of right) {
    if (!left.has(element)) changed[element] = fieldsOfChild(element, value, schema)
    const inner = left.has(element)
      ? compareFields(left.get(element), value, childSchema(element, schema))
      : undefined
    if (inner?.changed) changed[element] = inner.changed
    if (inner?.removed) removed[element] = inner.removed
  }
  for (const [element, value] of left) {
    if (!right.has(element)) removed[element] = fieldsOfChild(element, value, schema)
  }
  return { changed: tidy(changed, right.size === 0), removed: tidy(removed, false) }
}

/** Paths of a set as messages write them: `.spec.containers[name="web"].image`. */
export function pathsOf(node: FieldSet, prefix = ''): string[] {
  const here = isMember(node) && prefix !== '' ? [prefix] : []
  return [
    ...here,
    ...elements(node).flatMap(([element, child]) => pathsOf(child, prefix + pathText(element))),
  ]
}

function pathText(element: string): string {
  if (element.startsWith('f:')) return `.${element.slice(2)}`
  const value: unknown = JSON.parse(element.slice(2))
  if (!isObject(value)) return `[=${JSON.stringify(value)}]`
  return `[${Object.entries(value)
    .map(([key, item]) => `${key}=${JSON.stringify(item)}`)
    .join(',')}]`
}
