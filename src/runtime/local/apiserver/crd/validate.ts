import { isObject } from '../json.ts'
import { duplicate, invalidValue, required, typeInvalid } from '../kinds/validation.ts'
import { keyElement } from '../patch/field-set.ts'
import type { FieldError } from '../status.ts'
import { type Schema, valueSchema } from './schema.ts'
import { validateScalar } from './validate-scalar.ts'

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function hasType(value: unknown, schema: Schema): boolean {
  const type = typeOf(value)
  if (type === 'null') return schema.nullable === true
  if (schema['x-kubernetes-int-or-string']) return type === 'integer' || type === 'string'
  if (schema.type === undefined || schema.type === type) return true
  return schema.type === 'number' && type === 'integer'
}

function typeError(value: unknown, schema: Schema, path: string): FieldError {
  const wanted = schema['x-kubernetes-int-or-string'] ? 'integer,string' : (schema.type ?? 'object')
  const given = typeOf(value)
  return typeInvalid(
    path,
    isObject(value) || Array.isArray(value) ? given : value,
    `${path || '<root>'} in body must be of type ${wanted}: ${JSON.stringify(given)}`,
  )
}

function childPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function validateObject(value: Record<string, unknown>, schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) errors.push(required(childPath(path, name)))
  }
  const count = Object.keys(value).length
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    errors.push({
      field: path,
      reason: 'FieldValueInvalid',
      message: `Too many: ${count}: must have at most ${schema.maxProperties} items`,
    })
  }
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    errors.push(
      invalidValue(path, count, `${path} in body should have at least ${schema.minProperties} properties`),
    )
  }
  const values = valueSchema(schema)
  for (const [name, item] of Object.entries(value)) {
    const property = schema.properties?.[name] ?? values
    if (property && item !== undefined) errors.push(...validateValue(item, property, childPath(path, name)))
  }
  return errors
}

function repeated(value: unknown[], schema: Schema, path: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type']
  const isSet = listType === 'set' || schema.uniqueItems === true
  if (!isSet && listType !== 'map') return []
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const seen = new Set<string>()
  return value.flatMap((item, index) => {
    const id = listType === 'map' ? keyElement(item, { keys }) : JSON.stringify(item)
    if (!seen.has(id)) {
      seen.add(id)
      return []
    }
    const shown =
      listType === 'map'
        ? Object.fromEntries(keys.map((key) => [key, isObject(item) ? item[key] : undefined]))
        : item
    return [duplicate(`${path}[${index}]`, shown)]
  })
}

function validateArray(value: unknown[], schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push({
      field: path,
      reason: 'FieldValueInvalid',
      message: `Too many: ${value.length}: must have at most ${schema.maxItems} items`,
    })
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(
      invalidValue(path, value.length, `${path} in body should have at least ${schema.minItems} items`),
    )
  }
  const { items } = schema
  if (items) errors.push(...value.flatMap((item, index) => validateValue(item, items, `${path}[${index}]`)))
  return [...errors, ...repeated(value, schema, path)]
}

function validateCombinations(value: unknown, schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const part of schema.allOf ?? []) errors.push(...validateValue(value, part, path))
  const passes = (part: Schema) => validateValue(value, part, path).length === 0
  const name = path || '<root>'
  if (schema.anyOf && !schema.anyOf.some(passes)) {
    errors.push(invalidValue(path, value, `${name} in body must validate at least one schema (anyOf)`))
  }
  if (schema.oneOf && schema.oneOf.filter(passes).length !== 1) {
    errors.push(invalidValue(path, value, `${name} in body must validate one and only one schema (oneOf)`))
  }
  if (schema.not && passes(schema.not)) {
    errors.push(invalidValue(path, value, `${name} in body must not validate the schema (not)`))
  }
  return errors
}

/** Errors of a value under a structural schema. CEL rules are checked elsewhere. */
export function validateValue(value: unknown, schema: Schema, path: string): FieldError[] {
  if (!hasType(value, schema)) return [typeError(value, schema, path)]
  if (value === null) return []
  const errors = validateScalar(value, schema, path)
  if (Array.isArray(value)) errors.push(...validateArray(value, schema, path))
  else if (isObject(value)) errors.push(...validateObject(value, schema, path))
  return [...errors, ...validateCombinations(value, schema, path)]
}
