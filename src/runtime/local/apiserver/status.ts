import { KubeError } from '../../kube/types.ts'
import { isObject } from './json.ts'

/** One reason of a Status, see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/. */
export interface StatusCause {
  reason: string
  message: string
  field?: string
}

export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: StatusCause[]
  retryAfterSeconds?: number
}

/** An error that the server answers as a Status object. */
export class StatusError extends KubeError {
  readonly details: StatusDetails | undefined

  constructor(status: number, reason: string, message: string, details?: StatusDetails) {
    super(status, reason, message)
    this.name = 'StatusError'
    this.details = details
  }
}

/** The part of a resource that messages name. */
export interface ResourceName {
  group: string
  plural: string
}

/** `deployments.apps`, as messages name a resource. */
export function qualifiedName(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
}

function detailsOf(resource: ResourceName, name: string): StatusDetails {
  const group = resource.group === '' ? {} : { group: resource.group }
  return { name, ...group, kind: resource.plural }
}

export function notFound(resource: ResourceName, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" not found`
  return new StatusError(404, 'NotFound', message, detailsOf(resource, name))
}

export function alreadyExists(resource: ResourceName, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" already exists`
  return new StatusError(409, 'AlreadyExists', message, detailsOf(resource, name))
}

export function conflict(resource: ResourceName, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": ${why}`
  return new StatusError(409, 'Conflict', message, detailsOf(resource, name))
}

export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message)
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function forbidden(message: string, details?: StatusDetails): StatusError {
  return new StatusError(403, 'Forbidden', message, details)
}

export function methodNotAllowed(message: string): StatusError {
  return new StatusError(405, 'MethodNotAllowed', message)
}

export function internalError(message: string): StatusError {
  return new StatusError(500, 'InternalError', `Internal error occurred: ${message}`)
}

/** A defect of one field of an object. */
export interface FieldError {
  /** Such as `spec.ports[0].port`. */
  field: string
  reason:
    | 'FieldValueInvalid'
    | 'FieldValueRequired'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueTypeInvalid'
  /** Such as `Invalid value: 0: must be between 1 and 65535`. */
  message: string
}

/** 422: the object is understood, and some of its fields are wrong. */
export function invalid(kind: string, group: string, name: string, errors: FieldError[]): StatusError {
  const qualified = group === '' ? kind : `${kind}.${group}`
  const lines = errors.map((error) => `${error.field}: ${error.message}`)
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`
  const causes = errors.map(({ field, reason, message }) => ({ reason, message, field }))
  return new StatusError(422, 'Invalid', `${qualified} "${name}" is invalid: ${list}`, {
    name,
    ...(group === '' ? {} : { group }),
    kind,
    causes,
  })
}

/** The Status object of an error; anything that is not a {@link KubeError} is an internal error. */
export function statusOf(thrown: unknown): Record<string, unknown> & { code: number } {
  const error =
    thrown instanceof KubeError
      ? thrown
      : internalError(thrown instanceof Error ? thrown.message : String(thrown))
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(error instanceof StatusError && isObject(error.details) ? { details: error.details } : {}),
    code: error.status,
  }
}
