import { isIPv4, isIPv6 } from 'node:net'
import { jsonEqual } from '../json.ts'
import { invalidValue, unsupported } from '../kinds/validation.ts'
import type { FieldError } from '../status.ts'
import type { Schema } from './schema.ts'

const formats: Record<string, (text: string) => boolean> = {
  'date-time': (text) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  ipv4: isIPv4,
  ipv6: isIPv6,
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  cidr: (text) => /^[0-9a-fA-F.:]+\/\d{1,3}$/.test(text),
  duration: (text) => /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+$/.test(text) || text === '0',
}

const integerLimits: Record<string, [number, number]> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
}

const patterns = new Map<string, RegExp | undefined>()

/** Go's RE2 as JavaScript: inline flags at the start become flags; what neither understands matches everything. */
function patternOf(source: string): RegExp | undefined {
  if (patterns.has(source)) return patterns.get(source)
  let compiled: RegExp | undefined
  try {
    const inline = /^\(\?([ims]+)\)/.exec(source)
    compiled = new RegExp(inline ? source.slice(inline[0].length) : source, `u${inline?.[1] ?? ''}`)
  } catch {
    try {
      compiled = new RegExp(source)
    } catch {
      compiled = undefined
    }
  }
  patterns.set(source, compiled)
  return compiled
}

function validateString(text: string, schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  const length = [...text].length
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    errors.push({
      field: path,
      reason: 'FieldValueInvalid',
      message: `Too long: may not be more than ${schema.maxLength} bytes`,
    })
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(invalidValue(path, text, `${path} in body should be at least ${schema.minLength} chars long`))
  }
  if (schema.pattern !== undefined && patternOf(schema.pattern)?.test(text) === false) {
    errors.push(invalidValue(path, text, `${path} in body should match '${schema.pattern}'`))
  }
  const isGood = schema.format === undefined ? undefined : formats[schema.format]
  if (isGood && !isGood(text)) {
    errors.push(
      invalidValue(path, text, `${path} in body must be of type ${schema.format}: ${JSON.stringify(text)}`),
    )
  }
  return errors
}

function validateNumber(value: number, schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { minimum, maximum, multipleOf } = schema
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
    const relation = schema.exclusiveMinimum ? 'greater than' : 'greater than or equal to'
    errors.push(invalidValue(path, value, `${path} in body should be ${relation} ${minimum}`))
  }
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
    const relation = schema.exclusiveMaximum ? 'less than' : 'less than or equal to'
    errors.push(invalidValue(path, value, `${path} in body should be ${relation} ${maximum}`))
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    errors.push(invalidValue(path, value, `${path} in body should be a multiple of ${multipleOf}`))
  }
  const limits = integerLimits[schema.format ?? '']
  if (limits && (value < limits[0] || value > limits[1])) {
    errors.push(invalidValue(path, value, `${path} in body should be ${schema.format}`))
  }
  return errors
}

/** Errors of a scalar whose type is right, and of the enumeration of any value. */
export function validateScalar(value: unknown, schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (schema.enum && !schema.enum.some((item) => jsonEqual(item, value))) {
    errors.push(unsupported(path, value, schema.enum.map(String)))
  }
  if (typeof value === 'string') errors.push(...validateString(value, schema, path))
  if (typeof value === 'number') errors.push(...validateNumber(value, schema, path))
  return errors
}
