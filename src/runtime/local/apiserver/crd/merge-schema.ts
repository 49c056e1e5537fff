import { metadataSchema } from '../patch/builtin-schema.ts'
import type { MergeSchema } from '../patch/merge-schema.ts'
import { type Schema, valueSchema } from './schema.ts'

function keyDefaultsOf(schema: Schema): Record<string, string | number> {
  const entries = (schema['x-kubernetes-list-map-keys'] ?? []).flatMap((key): [string, string | number][] => {
    const given = schema.items?.properties?.[key]?.default
    return typeof given === 'string' || typeof given === 'number' ? [[key, given]] : []
  })
  return Object.fromEntries(entries)
}

function listSchema(schema: Schema): MergeSchema {
  const listType = schema['x-kubernetes-list-type']
  if (listType === 'set') return { listType }
  if (listType !== 'map') return { atomic: true }
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  return { listType, keys, keyDefaults: keyDefaultsOf(schema), items: convert(schema.items ?? {}) }
}

function convert(schema: Schema): MergeSchema {
  if (schema.type === 'array') return listSchema(schema)
  if (schema['x-kubernetes-map-type'] === 'atomic') return { atomic: true }
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) => [name, convert(property)])
  const values = valueSchema(schema)
  return { fields: Object.fromEntries(fields), ...(values ? { values: convert(values) } : {}) }
}

/** How custom resources of a schema merge in server-side apply. */
export function mergeSchemaOf(schema: Schema): MergeSchema {
  const converted = convert(schema)
  return { ...converted, fields: { ...converted.fields, metadata: metadataSchema } }
}
