import { parseGoDuration } from './go-duration.ts'

const knownFields = {
  spec: ['routes', 'retryBudget', 'dstOverrides', 'opaquePorts'],
  route: ['name', 'condition', 'responseClasses', 'isRetryable', 'timeout'],
  request: ['pathRegex', 'method', 'all', 'any', 'not'],
  response: ['status', 'all', 'any', 'not'],
  class: ['condition', 'isFailure'],
} as const

type Fields = Record<string, unknown>

/** What is wrong with a ServiceProfile that is about to be stored; each problem names its field. */
export function reviewServiceProfile(object: { metadata: { name: string }; spec?: unknown }): string[] {
  const problems: string[] = []
  const refuse = (field: string, message: string) => problems.push(`${field}: ${message}`)
  const { name } = object.metadata
  if (name.length > 253 || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name)) {
    refuse('metadata.name', `"${name}" is not a DNS name`)
  }
  const spec = fieldsOf(object.spec)
  refuseUnknown('spec', spec, knownFields.spec, refuse)
  listOf(spec.routes).forEach((route, place) => {
    reviewRoute(`spec.routes[${place}]`, fieldsOf(route), refuse)
  })
  if (spec.retryBudget !== undefined) reviewBudget(fieldsOf(spec.retryBudget), refuse)
  return problems
}

type Refuse = (field: string, message: string) => void

function reviewRoute(at: string, route: Fields, refuse: Refuse): void {
  refuseUnknown(at, route, knownFields.route, refuse)
  if (typeof route.name !== 'string' || route.name === '') refuse(`${at}.name`, 'it is missing')
  if (route.condition === undefined) refuse(`${at}.condition`, 'it is missing')
  else reviewCondition(`${at}.condition`, fieldsOf(route.condition), knownFields.request, refuse)
  if (route.timeout !== undefined && parseGoDuration(String(route.timeout)) === undefined) {
    refuse(`${at}.timeout`, `"${String(route.timeout)}" is not a duration such as 300ms or 1m30s`)
  }
  listOf(route.responseClasses).forEach((each, place) => {
    const field = `${at}.responseClasses[${place}]`
    const fields = fieldsOf(each)
    refuseUnknown(field, fields, knownFields.class, refuse)
    if (fields.condition === undefined) refuse(`${field}.condition`, 'it is missing')
    else reviewCondition(`${field}.condition`, fieldsOf(fields.condition), knownFields.response, refuse)
  })
}

function reviewCondition(at: string, condition: Fields, known: readonly string[], refuse: Refuse): void {
  refuseUnknown(at, condition, known, refuse)
  if (Object.keys(condition).length === 0) refuse(at, 'it is empty, and would match nothing')
  if (condition.status !== undefined) reviewStatus(`${at}.status`, fieldsOf(condition.status), refuse)
  if (typeof condition.pathRegex === 'string') reviewPattern(`${at}.pathRegex`, condition.pathRegex, refuse)
  for (const field of ['all', 'any', 'not']) {
    const parts = condition[field]
    if (parts === undefined) continue
    listOf(Array.isArray(parts) ? parts : [parts]).forEach((part, place) => {
      reviewCondition(`${at}.${field}[${place}]`, fieldsOf(part), known, refuse)
    })
  }
}

function reviewPattern(field: string, pattern: string, refuse: Refuse): void {
  try {
    new RegExp(pattern.replace(/\(\?[imsUux-]+\)/g, '').replaceAll('(?P<', '(?<'))
  } catch {
    refuse(field, `"${pattern}" is not a regular expression`)
  }
}

function reviewStatus(at: string, { min, max }: Fields, refuse: Refuse): void {
  for (const [name, value] of Object.entries({ min, max })) {
    if (value === undefined) continue
    const isStatus = typeof value === 'number' && value >= 100 && value <= 599
    if (!isStatus) refuse(`${at}.${name}`, `${String(value)} is not one of 100 to 599`)
  }
  if (min === undefined && max === undefined) refuse(at, 'it has neither min nor max')
  if (typeof min === 'number' && typeof max === 'number' && max < min) {
    refuse(`${at}.max`, `${max} is less than the min of ${min}`)
  }
}

function reviewBudget(budget: Fields, refuse: Refuse): void {
  const at = 'spec.retryBudget'
  if (budget.ttl === undefined) refuse(`${at}.ttl`, 'it is missing')
  else if (parseGoDuration(String(budget.ttl)) === undefined) {
    refuse(`${at}.ttl`, `"${String(budget.ttl)}" is not a duration such as 10s`)
  }
  for (const field of ['retryRatio', 'minRetriesPerSecond']) {
    const value = budget[field]
    if (value !== undefined && !(typeof value === 'number' && value >= 0)) {
      refuse(`${at}.${field}`, `${String(value)} is not a number of at least 0`)
    }
  }
}

function refuseUnknown(at: string, fields: Fields, known: readonly string[], refuse: Refuse): void {
  for (const field of Object.keys(fields)) {
    if (!known.includes(field))
      refuse(`${at}.${field}`, `there is no such field; there are ${known.join(', ')}`)
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
