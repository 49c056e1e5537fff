import { evaluateCel } from '../cel/evaluate.ts'
import { CelError } from '../cel/tokens.ts'
import { isObject } from '../json.ts'
import { keyElement } from '../patch/field-set.ts'
import type { FieldError } from '../status.ts'
import { type Schema, type ValidationRule, valueSchema } from './schema.ts'

const reasons: Record<string, FieldError['reason']> = {
  FieldValueInvalid: 'FieldValueInvalid',
  FieldValueForbidden: 'FieldValueForbidden',
  FieldValueRequired: 'FieldValueRequired',
  FieldValueDuplicate: 'FieldValueDuplicate',
}

function messageOf(rule: ValidationRule, variables: Record<string, unknown>): string {
  if (rule.messageExpression !== undefined) {
    try {
      return String(evaluateCel(rule.messageExpression, variables))
    } catch {
      // As Kubernetes does: the plain message is used instead.
    }
  }
  return rule.message ?? `failed rule: ${rule.rule}`
}

/** The error of one rule; a rule that this evaluator does not know is left to real clusters. */
function ruleError(rule: ValidationRule, value: unknown, old: unknown, path: string): FieldError[] {
  const usesOld = /\boldSelf\b/.test(rule.rule)
  if (usesOld && old === undefined) return []
  const variables = { self: value, ...(usesOld ? { oldSelf: old } : {}) }
  try {
    if (evaluateCel(rule.rule, variables) === true) return []
  } catch (error) {
    if (error instanceof CelError && /^(unknown|unexpected|undeclared|expected)/.test(error.message))
      return []
  }
  const field = path + (rule.fieldPath ?? '')
  const shown = isObject(value) ? 'object' : Array.isArray(value) ? 'array' : value
  const prefix = rule.reason === undefined ? `Invalid value: ${JSON.stringify(shown)}: ` : 'Invalid value: '
  const message = `${prefix}${messageOf(rule, variables)}`
  return [{ field, reason: reasons[rule.reason ?? ''] ?? 'FieldValueInvalid', message }]
}

function childPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

/** The item of the old list that has the same keys; nothing in lists that are replaced as a whole. */
function oldItem(item: unknown, old: unknown, schema: Schema): unknown {
  if (!Array.isArray(old) || schema['x-kubernetes-list-type'] !== 'map') return undefined
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const id = keyElement(item, { keys })
  return old.find((candidate) => keyElement(candidate, { keys }) === id)
}

/**
 * Errors of the CEL rules of a schema (`x-kubernetes-validations`, KEP-2876).
 * @param old the value before an update, for rules with `oldSelf`
 */
export function validateRules(value: unknown, old: unknown, schema: Schema, path = ''): FieldError[] {
  if (value === undefined || value === null) return []
  const errors = (schema['x-kubernetes-validations'] ?? []).flatMap((rule) =>
    ruleError(rule, value, old, path),
  )
  const { items } = schema
  if (Array.isArray(value) && items) {
    errors.push(
      ...value.flatMap((item, index) =>
        validateRules(item, oldItem(item, old, schema), items, `${path}[${index}]`),
      ),
    )
  }
  if (!isObject(value)) return errors
  const values = valueSchema(schema)
  for (const [name, item] of Object.entries(value)) {
    const property = schema.properties?.[name] ?? values
    const before = isObject(old) ? old[name] : undefined
    if (property) errors.push(...validateRules(item, before, property, childPath(path, name)))
  }
  return errors
}
