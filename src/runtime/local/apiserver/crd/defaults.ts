import { cloneJson, isObject } from '../json.ts'
import { type Schema, valueSchema } from './schema.ts'

/** Fills in the defaults of a schema, in place. A null where null is not allowed counts as absent. */
export function applyDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) applyDefaults(item, schema.items)
    return
  }
  if (!isObject(value)) return
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (value[name] === null && property.nullable !== true && property.default !== undefined)
      delete value[name]
    if (value[name] === undefined && property.default !== undefined) value[name] = cloneJson(property.default)
    applyDefaults(value[name], property)
  }
  const values = valueSchema(schema)
  if (!values) return
  for (const [name, item] of Object.entries(value)) {
    if (!schema.properties?.[name]) applyDefaults(item, values)
  }
}
