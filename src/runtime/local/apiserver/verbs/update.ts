import { cloneJson, jsonEqual } from '../json.ts'
import type { StoredMeta, StoredObject } from '../objects.ts'
import { trackUpdate } from '../patch/managed-fields.ts'
import type { KindDefinition } from '../registry/definition.ts'
import { conflict, notFound } from '../status.ts'
import { checkValid, identified, pruneUnknown } from './checks.ts'
import { writerOf } from './create.ts'
import { type ApiCore, type Operation, present, toStorage } from './operation.ts'

/** Makes the new object from the present one (frozen, in the version of the request). May be called again after a conflict. */
export type Change = (current: StoredObject) => unknown

const maxAttempts = 5

/** The present object of an operation, in the version of the request. */
export function currentObject(core: ApiCore, operation: Operation): StoredObject {
  const { definition, namespace, name = '' } = operation
  const current = core.store.get(definition.storage, name, namespace)
  if (!current) throw notFound(definition.resource, name)
  return present(definition, current)
}

function checkPreconditions(operation: Operation, current: StoredObject, next: StoredObject): void {
  const { name } = current.metadata
  const { resource } = operation.definition
  if (next.metadata.uid && next.metadata.uid !== current.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${next.metadata.uid}, UID in object meta: ${current.metadata.uid}`
    throw conflict(resource, name, why)
  }
  const version = next.metadata.resourceVersion
  if (version && version !== current.metadata.resourceVersion) {
    const why = 'the object has been modified; please apply your changes to the latest version and try again'
    throw conflict(resource, name, why)
  }
}

/** Metadata that only the server changes. */
function keepServerMetadata(current: StoredMeta, next: StoredMeta): StoredMeta {
  const kept: Partial<StoredMeta> = {}
  for (const key of [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'resourceVersion',
    'generateName',
  ] as const) {
    Object.assign(kept, { [key]: current[key] })
  }
  return { ...next, ...kept }
}

/** Lets a write change only its own part: all but the status, or the status alone. */
function isolate(operation: Operation, current: StoredObject, next: StoredObject): StoredObject {
  const metadata = keepServerMetadata(current.metadata, next.metadata)
  if (operation.subresource === 'status') {
    const managed = next.metadata.managedFields
    const kept = { ...current.metadata, ...(managed ? { managedFields: managed } : {}) }
    return { ...current, metadata: kept, status: next.status }
  }
  if (!operation.definition.hasStatus || operation.subresource === 'finalize') return { ...next, metadata }
  return { ...next, metadata, status: current.status }
}

function wantedState(object: StoredObject): Record<string, unknown> {
  return { ...object, metadata: undefined, status: undefined, apiVersion: undefined }
}

function countGeneration(definition: KindDefinition, current: StoredObject, next: StoredObject): void {
  if (!definition.tracksGeneration) return
  const changed = definition.hasStatus
    ? !jsonEqual(wantedState(current), wantedState(next))
    : !jsonEqual(
        { ...wantedState(current), status: current.status },
        { ...wantedState(next), status: next.status },
      )
  const generation = current.metadata.generation ?? 1
  next.metadata.generation = changed ? generation + 1 : generation
}

async function attempt(
  core: ApiCore,
  operation: Operation,
  change: Change,
  applied: boolean,
): Promise<StoredObject | undefined> {
  const { definition, subresource } = operation
  const current = currentObject(core, operation)
  const changed = identified(operation, change(current))
  checkPreconditions(operation, current, changed)
  let next = cloneJson(isolate(operation, current, changed))
  pruneUnknown(operation, next)
  definition.strategy.setDefaults?.(next)
  const request = { ...operation, operation: 'UPDATE' as const, object: next, oldObject: current }
  next = keepIdentity(current, await core.admission.mutate(request))
  definition.strategy.prune?.(next)
  definition.strategy.setDefaults?.(next)
  if (subresource === undefined) definition.strategy.prepareUpdate?.(next, current, core.strategyEnv)
  countGeneration(definition, current, next)
  if (!applied) trackUpdate(current, next, definition.mergeSchema, writerOf(core, operation))
  checkValid(operation, next, current)
  await core.admission.validate({ ...request, object: next })
  if (operation.dryRun) return next
  return commit(core, operation, current, next)
}

/** Stores the new object; undefined when somebody else wrote it in the meantime. */
function commit(
  core: ApiCore,
  { definition }: Operation,
  current: StoredObject,
  next: StoredObject,
): StoredObject | undefined {
  const { name, namespace, resourceVersion } = current.metadata
  const latest = core.store.get(definition.storage, name, namespace)
  if (latest && latest.metadata.resourceVersion !== resourceVersion) return undefined
  return present(
    definition,
    core.store.update(definition.storage, { name, namespace }, () => toStorage(definition, next)),
  )
}

/** A webhook may not rename an object. */
function keepIdentity(current: StoredObject, next: StoredObject): StoredObject {
  next.metadata.name = current.metadata.name
  if (current.metadata.namespace !== undefined) next.metadata.namespace = current.metadata.namespace
  return next
}

/**
 * Changes an object: defaults, admission, validation, storage. A change that names no resource version is made
 * again on top of whatever came between.
 * @param applied whether `change` is a server-side apply, which keeps account of the fields itself
 * @throws KubeError 400, 403, 404, 409 or 422
 */
export async function updateObject(
  core: ApiCore,
  operation: Operation,
  change: Change,
  applied = false,
): Promise<StoredObject> {
  for (let tries = 0; tries < maxAttempts; tries++) {
    const done = await attempt(core, operation, change, applied)
    if (done) return done
  }
  throw conflict(
    operation.definition.resource,
    operation.name ?? '',
    'the object is being modified too often',
  )
}
