import type { DeleteOptions, Propagation } from '../deletion.ts'
import { isObject } from '../json.ts'
import { badRequest } from '../status.ts'
import type { FieldValidation } from '../verbs/operation.ts'
import type { ApiRequest } from './message.ts'

const validations: FieldValidation[] = ['Strict', 'Warn', 'Ignore']
const propagations: Propagation[] = ['Background', 'Foreground', 'Orphan']

/** `fieldValidation` of the query; `Warn` when absent, as Kubernetes has it. */
export function fieldValidationOf(request: ApiRequest): FieldValidation {
  const given = request.query.get('fieldValidation') || 'Warn'
  const found = validations.find((validation) => validation === given)
  if (!found) throw badRequest(`fieldValidation: Unsupported value: ${JSON.stringify(given)}`)
  return found
}

/** `dryRun` of the query or of delete options. */
export function isDryRun(request: ApiRequest, body?: unknown): boolean {
  const given = request.query.getAll('dryRun').filter((value) => value !== '')
  const inBody =
    isObject(body) && body.kind === 'DeleteOptions' && Array.isArray(body.dryRun) ? body.dryRun : []
  const all = [...given, ...inBody.map(String)]
  if (all.some((value) => value !== 'All'))
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(all)}`)
  return all.length > 0
}

/** `fieldManager` of the query, or the program that the User-Agent names. */
export function fieldManagerOf(request: ApiRequest): string {
  const given = request.query.get('fieldManager')
  if (given) return given
  return (request.headers['user-agent'] ?? 'unknown').split('/')[0]?.slice(0, 128) || 'unknown'
}

/** The `DeleteOptions` of the body and, as older clients do it, of the query. */
export function deleteOptionsOf(request: ApiRequest, body: unknown): DeleteOptions {
  const given = isObject(body) ? body : {}
  const grace = given.gracePeriodSeconds ?? request.query.get('gracePeriodSeconds') ?? undefined
  const orphan = given.orphanDependents ?? request.query.get('orphanDependents') ?? undefined
  const legacy = orphan === undefined ? undefined : String(orphan) === 'true' ? 'Orphan' : 'Background'
  const policy = given.propagationPolicy ?? request.query.get('propagationPolicy') ?? legacy
  const propagationPolicy = propagations.find((propagation) => propagation === policy)
  if (policy !== undefined && policy !== null && !propagationPolicy) {
    throw badRequest(`propagationPolicy: Unsupported value: ${JSON.stringify(policy)}`)
  }
  const seconds = grace === undefined || grace === null ? undefined : Number(grace)
  if (seconds !== undefined && !(seconds >= 0)) throw badRequest('gracePeriodSeconds must not be negative')
  return {
    ...(seconds === undefined ? {} : { gracePeriodSeconds: seconds }),
    ...(propagationPolicy ? { propagationPolicy } : {}),
    ...(isObject(given.preconditions) ? { preconditions: given.preconditions } : {}),
  }
}

/** The selectors of the query. */
export function selectionOf(request: ApiRequest): { labelSelector?: string; fieldSelector?: string } {
  const labelSelector = request.query.get('labelSelector')
  const fieldSelector = request.query.get('fieldSelector')
  return { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) }
}

/** Whether a boolean of the query is set. */
export function flagOf(request: ApiRequest, name: string): boolean {
  const value = request.query.get(name)
  return value === 'true' || value === '1' || value === ''
}
