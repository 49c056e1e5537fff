/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

/** Whether the value is an object, neither an array nor null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of keys, or undefined where the path ends early. */
export function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root
  for (const key of path) {
    if (!isObject(value)) return undefined
    value = value[key]
  }
  return value
}

/** The string at a path of keys; undefined when there is another type. */
export function stringAt(root: unknown, path: readonly string[]): string | undefined {
  const value = valueAt(root, path)
  return typeof value === 'string' ? value : undefined
}

/** The array of objects at a path of keys; empty when there is none. */
export function objectsAt(root: unknown, path: readonly string[]): Record<string, unknown>[] {
  const value = valueAt(root, path)
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** Deep equality of JSON values; the order of keys does not matter, and `undefined` equals absence. */
export function jsonEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false
    return left.every((item, index) => jsonEqual(item, right[index]))
  }
  if (!isObject(left) || !isObject(right)) return false
  for (const key of Object.keys(left)) if (!jsonEqual(left[key], right[key])) return false
  for (const key of Object.keys(right)) if (!(key in left) && right[key] !== undefined) return false
  return true
}

/** A copy that shares nothing with the original. Quicker than structuredClone on plain JSON. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map(cloneJson) as T
  if (!isObject(value)) return value
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const item = value[key]
    if (item !== undefined) copy[key] = cloneJson(item)
  }
  return copy as T
}

/** Makes the whole value immutable, so that everybody may share it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}
