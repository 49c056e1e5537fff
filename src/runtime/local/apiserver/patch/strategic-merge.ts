import { cloneJson, isObject, jsonEqual } from '../json.ts'
import { badRequest } from '../status.ts'
import { fieldSchema, type MergeSchema } from './merge-schema.ts'

type Fields = Record<string, unknown>

const directive = '$patch'
const retainKeys = '$retainKeys'
const orderPrefix = '$setElementOrder/'
const deletePrefix = '$deleteFromPrimitiveList/'

function isDirective(key: string): boolean {
  return (
    key === directive || key === retainKeys || key.startsWith(orderPrefix) || key.startsWith(deletePrefix)
  )
}

/** A patch as it is written where nothing was before: without its directives. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter(
        (item) =>
          !(
            isObject(item) &&
            item[directive] !== undefined &&
            Object.keys(item).length > 0 &&
            item[directive] !== 'merge'
          ),
      )
      .map(withoutDirectives)
  }
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([key, item]) => !isDirective(key) && item !== null)
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutDirectives(item)]))
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** Sorts like the patch says; what it does not name keeps its place after the item that it followed. */
function orderItems(
  items: unknown[],
  order: unknown[],
  sameItem: (item: unknown, wanted: unknown) => boolean,
): unknown[] {
  const rankOf = (item: unknown) => order.findIndex((wanted) => sameItem(item, wanted))
  const named = items.filter((item) => rankOf(item) >= 0).sort((left, right) => rankOf(left) - rankOf(right))
  const result = [...named]
  for (const [index, item] of items.entries()) {
    if (rankOf(item) >= 0) continue
    const before = items
      .slice(0, index)
      .reverse()
      .find((candidate) => result.includes(candidate))
    result.splice(before === undefined ? 0 : result.indexOf(before) + 1, 0, item)
  }
  return result
}

function mergeKeyedList(
  current: unknown[],
  patch: unknown[],
  key: string,
  schema: MergeSchema | undefined,
): unknown[] {
  if (patch.some((item) => isObject(item) && item[directive] === 'replace')) {
    return patch.filter((item) => !(isObject(item) && item[directive] === 'replace')).map(withoutDirectives)
  }
  const result = [...current]
  for (const item of patch) {
    if (!isObject(item) || item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
    }
    const at = result.findIndex((candidate) => isObject(candidate) && jsonEqual(candidate[key], item[key]))
    if (item[directive] === 'delete') {
      if (at >= 0) result.splice(at, 1)
    } else if (at >= 0) result[at] = mergeObjects(result[at] as Fields, item, schema?.items)
    else result.push(withoutDirectives(item))
  }
  return result
}

function mergeLists(current: unknown, patch: unknown[], schema: MergeSchema | undefined): unknown[] {
  const present = asList(current)
  if (schema?.patchMergeKey) return mergeKeyedList(present, patch, schema.patchMergeKey, schema)
  if (schema?.patchMergeScalars) {
    return [...present, ...patch.filter((item) => !present.some((other) => jsonEqual(item, other)))]
  }
  return patch.map(withoutDirectives)
}

function mergeValue(current: unknown, patch: unknown, schema: MergeSchema | undefined): unknown {
  if (Array.isArray(patch)) return mergeLists(current, patch, schema)
  if (isObject(patch)) return mergeObjects(isObject(current) ? current : {}, patch, schema)
  return patch
}

function applyListDirectives(result: Fields, patch: Fields, schema: MergeSchema | undefined): void {
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(deletePrefix)) {
      const name = key.slice(deletePrefix.length)
      const removed = asList(value)
      if (Array.isArray(result[name])) {
        result[name] = asList(result[name]).filter((item) => !removed.some((other) => jsonEqual(item, other)))
      }
    }
    if (!key.startsWith(orderPrefix)) continue
    const name = key.slice(orderPrefix.length)
    const mergeKey = fieldSchema(schema, name)?.patchMergeKey
    const same = (item: unknown, wanted: unknown) =>
      mergeKey && isObject(item) && isObject(wanted)
        ? jsonEqual(item[mergeKey], wanted[mergeKey])
        : jsonEqual(item, wanted)
    if (Array.isArray(result[name])) result[name] = orderItems(asList(result[name]), asList(value), same)
  }
}

function mergeObjects(current: Fields, patch: Fields, schema: MergeSchema | undefined): Fields {
  if (patch[directive] === 'replace') return withoutDirectives({ ...patch, [directive]: undefined }) as Fields
  if (patch[directive] === 'delete') return {}
  const result: Fields = { ...current }
  const kept = patch[retainKeys]
  if (Array.isArray(kept)) {
    for (const key of Object.keys(result)) if (!kept.includes(key)) delete result[key]
  }
  for (const [key, value] of Object.entries(patch)) {
    if (isDirective(key)) continue
    if (value === null) delete result[key]
    else if (isObject(value) && value[directive] === 'delete') delete result[key]
    else result[key] = mergeValue(result[key], value, fieldSchema(schema, key))
  }
  applyListDirectives(result, patch, schema)
  return result
}

/**
 * Strategic merge patch: lists with a merge key are joined, `$patch`, `$retainKeys`, `$setElementOrder` and
 * `$deleteFromPrimitiveList` are obeyed. Changes neither argument. See
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md.
 * @throws KubeError 400 when an item lacks the merge key
 */
export function applyStrategicMerge<T extends object>(target: T, patch: unknown, schema: MergeSchema): T {
  if (!isObject(patch)) throw badRequest('a strategic merge patch is an object')
  return cloneJson(mergeObjects(target as Fields, patch, schema)) as T
}
