import { isObject, jsonEqual, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { FieldError } from '../status.ts'

/** A value as messages quote it. */
function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(value ?? null)
}

export function invalidValue(field: string, value: unknown, why: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${quoted(value)}: ${why}` }
}

export function required(field: string, why = ''): FieldError {
  const message = why === '' ? 'Required value' : `Required value: ${why}`
  return { field, reason: 'FieldValueRequired', message }
}

export function unsupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((item) => JSON.stringify(item)).join(', ')
  const message = `Unsupported value: ${quoted(value)}: supported values: ${list}`
  return { field, reason: 'FieldValueNotSupported', message }
}

export function duplicate(field: string, value: unknown): FieldError {
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${quoted(value)}` }
}

export function typeInvalid(field: string, value: unknown, why: string): FieldError {
  return { field, reason: 'FieldValueTypeInvalid', message: `Invalid value: ${quoted(value)}: ${why}` }
}

/** The error of a field that may not change, if it has. */
export function immutable(object: StoredObject, old: StoredObject, path: string[]): FieldError[] {
  const value = valueAt(object, path)
  if (jsonEqual(value, valueAt(old, path))) return []
  return [invalidValue(path.join('.'), value, 'field is immutable')]
}

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const dnsSubdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const qualifiedNamePart = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/

/** RFC 1123 label. */
export function isDnsLabel(name: string): boolean {
  return name.length <= 63 && dnsLabel.test(name)
}

/** RFC 1035 label: starts with a letter. */
export function isDns1035Label(name: string): boolean {
  return isDnsLabel(name) && /^[a-z]/.test(name)
}

/** RFC 1123 subdomain. */
export function isDnsSubdomain(name: string): boolean {
  return name.length <= 253 && dnsSubdomain.test(name)
}

/** A key of labels and annotations: an optional DNS prefix, a slash, a name. */
export function isQualifiedName(key: string): boolean {
  const parts = key.split('/')
  const name = parts.at(-1) ?? ''
  if (parts.length > 2 || name.length > 63 || !qualifiedNamePart.test(name)) return false
  return parts.length === 1 || isDnsSubdomain(parts[0] ?? '')
}

export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= 63 && qualifiedNamePart.test(value))
}

export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535
}

export const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
export const labelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"

/** Errors of labels: keys and values. */
export function validateLabels(labels: unknown, field: string): FieldError[] {
  if (labels === undefined || labels === null) return []
  if (!isObject(labels)) return [typeInvalid(field, labels, 'must be an object of strings')]
  const errors: FieldError[] = []
  for (const [key, value] of Object.entries(labels)) {
    if (!isQualifiedName(key))
      errors.push(
        invalidValue(
          field,
          key,
          'name part must consist of alphanumeric characters, "-", "_" or ".", and must start and end with an alphanumeric character',
        ),
      )
    if (typeof value !== 'string') errors.push(typeInvalid(`${field}.${key}`, value, 'must be a string'))
    else if (!isLabelValue(value))
      errors.push(
        invalidValue(
          field,
          value,
          'a valid label must be an empty string or consist of alphanumeric characters, "-", "_" or ".", and must start and end with an alphanumeric character',
        ),
      )
  }
  return errors
}
