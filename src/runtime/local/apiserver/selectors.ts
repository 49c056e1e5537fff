import { isObject, valueAt } from './json.ts'
import { badRequest } from './status.ts'

type Labels = Record<string, string>
type Test = (labels: Labels) => boolean

/** Tells whether an object is chosen. */
export type Predicate = (object: unknown) => boolean

const requirement =
  /^\s*(!?)\s*([^\s!=,()]+)\s*(?:(==|!=|=|\s+notin\s+|\s+in\s+|\s+notin(?=\()|\s+in(?=\())\s*(.*))?$/

/** Splits at commas that are not inside parentheses. */
function splitRequirements(selector: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let index = 0; index < selector.length; index++) {
    const character = selector[index]
    if (character === '(') depth++
    else if (character === ')') depth--
    else if (character === ',' && depth === 0) {
      parts.push(selector.slice(start, index))
      start = index + 1
    }
  }
  parts.push(selector.slice(start))
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

function setTest(key: string, negated: boolean, list: string): Test {
  const match = /^\((.*)\)$/.exec(list.trim())
  if (!match) throw badRequest(`unable to parse requirement: found '${list}', expected: '('`)
  const values = new Set((match[1] ?? '').split(',').map((value) => value.trim()))
  return (labels) => {
    const value = labels[key]
    return value === undefined ? negated : values.has(value) !== negated
  }
}

function requirementTest(text: string): Test {
  const match = requirement.exec(text)
  const key = match?.[2]
  if (!match || !key) throw badRequest(`unable to parse requirement: ${text}`)
  const operator = match[3]?.trim()
  const value = (match[4] ?? '').trim()
  if (match[1] === '!') return (labels) => !(key in labels)
  switch (operator) {
    case undefined:
      return (labels) => key in labels
    case '=':
    case '==':
      return (labels) => labels[key] === value
    case '!=':
      return (labels) => labels[key] !== value
    default:
      return setTest(key, operator === 'notin', value)
  }
}

/**
 * Compiles a label selector such as `app=web,tier in (a,b),!old`. An empty one chooses everything.
 * @throws KubeError 400 when it cannot be parsed
 */
export function compileLabelSelector(selector: string | undefined): Predicate {
  const tests = splitRequirements(selector ?? '').map(requirementTest)
  if (tests.length === 0) return () => true
  return (object) => {
    const labels = valueAt(object, ['metadata', 'labels'])
    return tests.every((test) => test(isObject(labels) ? (labels as Labels) : {}))
  }
}

interface MatchExpression {
  key: string
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  values?: string[]
}

/** The `LabelSelector` of the API: `matchLabels` and `matchExpressions`. */
export interface LabelSelector {
  matchLabels?: Labels
  matchExpressions?: MatchExpression[]
}

function expressionMatches(expression: MatchExpression, labels: Labels): boolean {
  const value = labels[expression.key]
  const values = expression.values ?? []
  switch (expression.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}

/** Whether labels satisfy a `LabelSelector`. An empty selector is satisfied by all. */
export function labelsMatch(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  if (!selector) return true
  const present = labels ?? {}
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (present[key] !== value) return false
  }
  return (selector.matchExpressions ?? []).every((expression) => expressionMatches(expression, present))
}

/**
 * Compiles a field selector such as `metadata.name=web,status.phase!=Running`.
 * @param selectable dotted paths that the kind supports; any when absent
 * @throws KubeError 400 when it cannot be parsed or names an unsupported field
 */
export function compileFieldSelector(
  selector: string | undefined,
  selectable?: readonly string[],
): Predicate {
  const parts = (selector ?? '').split(',').filter((part) => part.trim() !== '')
  const tests = parts.map((part) => {
    const match = /^\s*([^=!\s]+)\s*(==|!=|=)\s*(.*?)\s*$/.exec(part)
    if (!match) throw badRequest(`invalid field selector: ${part}`)
    const [, field = '', operator, expected] = match
    if (selectable && !selectable.includes(field)) throw badRequest(`field label not supported: ${field}`)
    const path = field.split('.')
    return (object: unknown) => {
      const value = valueAt(object, path)
      const actual = value === undefined || value === null ? '' : String(value)
      return (actual === expected) !== (operator === '!=')
    }
  })
  return (object) => tests.every((test) => test(object))
}
