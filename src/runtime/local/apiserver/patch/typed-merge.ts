import { isObject } from '../json.ts'
import { type FieldSet, listElements } from './field-set.ts'
import { fieldSchema, type MergeSchema } from './merge-schema.ts'

/** Lays an applied configuration over the live value: maps and keyed lists are joined, all else is replaced. */
export function mergeTyped(live: unknown, applied: unknown, schema: MergeSchema | undefined): unknown {
  if (schema?.atomic || live === undefined) return applied
  if (Array.isArray(live) && Array.isArray(applied)) return mergeLists(live, applied, schema)
  if (!isObject(live) || !isObject(applied)) return applied
  const result: Record<string, unknown> = { ...live }
  for (const [name, value] of Object.entries(applied)) {
    result[name] = mergeTyped(live[name], value, fieldSchema(schema, name))
  }
  return result
}

function mergeLists(live: unknown[], applied: unknown[], schema: MergeSchema | undefined): unknown[] {
  const present = listElements(live, schema)
  const wanted = listElements(applied, schema)
  if (!present || !wanted) return applied
  const result = [...present].map(([element, item]) =>
    wanted.has(element) ? mergeTyped(item, wanted.get(element), schema?.items) : item,
  )
  for (const [element, item] of wanted) if (!present.has(element)) result.push(item)
  return result
}

/** A copy without the fields of a set. */
export function removeFields(value: unknown, fields: FieldSet, schema: MergeSchema | undefined): unknown {
  if (Array.isArray(value)) {
    const items = listElements(value, schema)
    if (!items) return value
    return [...items].flatMap(([element, item]) => {
      const child = fields[element]
      if (!child) return [item]
      return isWhole(child) ? [] : [removeFields(item, child, schema?.items)]
    })
  }
  if (!isObject(value)) return value
  const result: Record<string, unknown> = { ...value }
  for (const [name, item] of Object.entries(value)) {
    const child = fields[`f:${name}`]
    if (!child) continue
    if (isWhole(child)) {
      delete result[name]
      continue
    }
    const rest = removeFields(item, child, fieldSchema(schema, name))
    const isEmptied = isEmpty(rest) && !isEmpty(item)
    if (isEmptied) delete result[name]
    else result[name] = rest
  }
  return result
}

function isWhole(node: FieldSet): boolean {
  return '.' in node || Object.keys(node).length === 0
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0
}
