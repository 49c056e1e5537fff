import { isObject } from '../json.ts'
import { type Schema, valueSchema } from './schema.ts'

const typeMeta = ['apiVersion', 'kind', 'metadata']

/**
 * Removes the fields that a structural schema does not know, in place.
 * @param isResource whether the value has apiVersion, kind and metadata of its own
 * @returns their paths, such as `spec.replica` or `spec.rules[0].hosts`
 */
export function pruneUnknownFields(value: unknown, schema: Schema, isResource: boolean, path = ''): string[] {
  if (Array.isArray(value)) {
    const { items } = schema
    return items
      ? value.flatMap((item, index) =>
          pruneUnknownFields(item, items, isEmbedded(items), `${path}[${index}]`),
        )
      : []
  }
  if (!isObject(value)) return []
  return Object.keys(value).flatMap((name) => pruneField(value, name, schema, isResource, path))
}

function isEmbedded(schema: Schema): boolean {
  return schema['x-kubernetes-embedded-resource'] === true
}

function pruneField(
  parent: Record<string, unknown>,
  name: string,
  schema: Schema,
  isResource: boolean,
  path: string,
): string[] {
  if (isResource && typeMeta.includes(name)) return []
  const here = path === '' ? name : `${path}.${name}`
  const known = schema.properties?.[name] ?? valueSchema(schema)
  if (known) return pruneUnknownFields(parent[name], known, isEmbedded(known), here)
  if (schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true)
    return []
  delete parent[name]
  return [here]
}
