import { isObject } from '../json.ts'
import type { Field, FieldType, MessageType, ScalarType } from './types.ts'
import { messageType } from './types.ts'

/** What is wrong with an object under its type. */
export interface TypeDefects {
  /** Paths of fields that the type does not have; they are removed. */
  unknown: string[]
  /** Values of a wrong type, as `spec.replicas: cannot read string as int32`. */
  wrong: string[]
}

const quantity = /^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

const scalarTests: Record<ScalarType, (value: unknown) => boolean> = {
  string: isText,
  Duration: isText,
  bytes: isText,
  bool: (value) => typeof value === 'boolean',
  int32: (value) => Number.isInteger(value) && Math.abs(value as number) <= 2 ** 31,
  int64: Number.isInteger,
  double: (value) => typeof value === 'number',
  Time: isTime,
  MicroTime: isTime,
  Quantity: (value) => (typeof value === 'string' && quantity.test(value)) || typeof value === 'number',
  IntOrString: (value) => typeof value === 'string' || Number.isInteger(value),
  Raw: () => true,
  Json: () => true,
  Any: () => true,
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return typeof value === 'object'
    ? 'object'
    : typeof value === 'string'
      ? `string ${JSON.stringify(value)}`
      : String(value)
}

function checkValue(value: unknown, type: FieldType, path: string, defects: TypeDefects): void {
  if (value === null || value === undefined) return
  const fail = (wanted: string) => defects.wrong.push(`${path}: cannot read ${nameOf(value)} as ${wanted}`)
  switch (type.kind) {
    case 'scalar':
      if (!scalarTests[type.scalar](value)) fail(type.scalar)
      return
    case 'message':
      if (isObject(value)) checkMessage(value, messageType(type.type), path, defects)
      else fail(type.type)
      return
    case 'list':
      if (Array.isArray(value))
        for (const [index, item] of value.entries()) checkValue(item, type.item, `${path}[${index}]`, defects)
      else fail('a list')
      return
    case 'map':
      if (!isObject(value)) fail('a map')
      else
        for (const [key, item] of Object.entries(value))
          checkValue(item, type.value, `${path}.${key}`, defects)
  }
}

function checkMessage(
  object: Record<string, unknown>,
  type: MessageType,
  path: string,
  defects: TypeDefects,
): void {
  for (const name of Object.keys(object)) {
    const here = path === '' ? name : `${path}.${name}`
    const field: Field | undefined = type.fields.get(name)
    if (object[name] === null) delete object[name]
    else if (field) checkValue(object[name], field.type, here, defects)
    else if (path !== '' || (name !== 'apiVersion' && name !== 'kind')) {
      delete object[name]
      defects.unknown.push(here)
    }
  }
}

/** Checks an object of a built-in kind against its type, and removes nulls and unknown fields, in place. */
export function checkTyped(object: Record<string, unknown>, type: MessageType): TypeDefects {
  const defects: TypeDefects = { unknown: [], wrong: [] }
  checkMessage(object, type, '', defects)
  return defects
}
