import { resources } from '../../../kube/resources.ts'
import { cloneJson, isObject, stringAt } from '../json.ts'
import { validateMetadata } from '../kinds/metadata.ts'
import type { StoredObject } from '../objects.ts'
import { apiVersionOf } from '../registry/definition.ts'
import { badRequest, forbidden, invalid, notFound } from '../status.ts'
import type { ApiCore, Operation } from './operation.ts'

/**
 * A copy of a body that is surely an object of the kind, name and namespace that the path tells.
 * @throws KubeError 400
 */
export function identified(operation: Operation, given: unknown): StoredObject {
  const body = cloneJson(given)
  if (!isObject(body)) throw badRequest('the body of the request is not an object')
  const { resource } = operation.definition
  const expected = apiVersionOf(resource)
  body.apiVersion ??= expected
  body.kind ??= resource.kind
  if (body.apiVersion !== expected || body.kind !== resource.kind) {
    const given = `${String(body.apiVersion)}, Kind=${String(body.kind)}`
    throw badRequest(
      `the object provided is of the wrong type: expected ${expected}, Kind=${resource.kind}, got ${given}`,
    )
  }
  if (body.metadata === undefined || body.metadata === null) body.metadata = {}
  if (!isObject(body.metadata)) throw badRequest('metadata is not an object')
  checkNamespace(operation, body.metadata)
  const { name } = body.metadata
  if (operation.name === undefined) return body as unknown as StoredObject
  body.metadata.name ??= operation.name
  if (name !== undefined && name !== '' && name !== operation.name) {
    throw badRequest(
      `the name of the object (${String(name)}) does not match the name on the URL (${operation.name})`,
    )
  }
  return body as unknown as StoredObject
}

function checkNamespace(operation: Operation, metadata: Record<string, unknown>): void {
  if (!operation.definition.resource.namespaced) {
    delete metadata.namespace
    return
  }
  if (metadata.namespace === undefined || metadata.namespace === '') metadata.namespace = operation.namespace
  if (metadata.namespace === operation.namespace) return
  throw badRequest(
    `the namespace of the provided object does not match the namespace sent on the request (${String(metadata.namespace)}, ${operation.namespace})`,
  )
}

/**
 * Removes unknown fields and tells of them as the request wishes.
 * @throws KubeError 400 for `fieldValidation=Strict`
 */
export function pruneUnknown(operation: Operation, object: StoredObject): void {
  const unknown = operation.definition.strategy.prune?.(object) ?? []
  if (unknown.length === 0 || operation.fieldValidation === 'Ignore') return
  const messages = unknown.map((path) => `unknown field "${path}"`)
  if (operation.fieldValidation === 'Warn') {
    operation.warnings.push(...messages)
    return
  }
  const { kind, version } = operation.definition.resource
  throw badRequest(
    `${kind} in version "${version}" cannot be handled as a ${kind}: strict decoding error: ${messages.join(', ')}`,
  )
}

/**
 * Checks that a namespace takes new objects.
 * @throws KubeError 404 when it is not there, 403 while it is being deleted
 */
export function requireNamespace(core: ApiCore, operation: Operation, name: string): void {
  const { namespace } = operation
  if (namespace === undefined) return
  const found = core.store.get(resources.namespaces, namespace)
  if (!found) throw notFound(resources.namespaces, namespace)
  const isEnding = found.metadata.deletionTimestamp !== undefined
  if (!isEnding && stringAt(found, ['status', 'phase']) !== 'Terminating') return
  const { plural, group } = operation.definition.resource
  const subject = group === '' ? plural : `${plural}.${group}`
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  const message = `namespace ${namespace} is being terminated`
  throw forbidden(`${subject} "${name}" is forbidden: ${why}`, {
    name,
    kind: plural,
    causes: [{ reason: 'NamespaceTerminating', message, field: 'metadata.namespace' }],
  })
}

/** @throws KubeError 422 with every defect of the object */
export function checkValid(operation: Operation, object: StoredObject, old: StoredObject | undefined): void {
  const { definition } = operation
  const errors = [
    ...validateMetadata(definition, object, old),
    ...(definition.strategy.validate?.(object, old) ?? []),
  ]
  const name = object.metadata.name ?? ''
  if (errors.length > 0) throw invalid(definition.resource.kind, definition.resource.group, name, errors)
}
