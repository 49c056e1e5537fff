import { randomInt, randomUUID } from 'node:crypto'
import { timestamp } from '../deletion.ts'
import { cloneJson } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { trackUpdate, type Writer } from '../patch/managed-fields.ts'
import { applyConfiguration } from '../patch/server-side-apply.ts'
import { apiVersionOf } from '../registry/definition.ts'
import { alreadyExists, badRequest } from '../status.ts'
import { checkValid, identified, pruneUnknown, requireNamespace } from './checks.ts'
import { type ApiCore, type Operation, present, toStorage } from './operation.ts'

// Without vowels and look-alikes, so that no words come out.
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'
const maxGeneratedNameLength = 58

function generatedName(prefix: string): string {
  const suffix = Array.from({ length: 5 }, () => suffixAlphabet[randomInt(suffixAlphabet.length)])
  return `${prefix.slice(0, maxGeneratedNameLength)}${suffix.join('')}`
}

/** Who is recorded as the writer of this operation. */
export function writerOf(core: ApiCore, operation: Operation, kind: Writer['operation'] = 'Update'): Writer {
  return {
    manager: operation.fieldManager,
    operation: kind,
    apiVersion: apiVersionOf(operation.definition.resource),
    subresource: operation.subresource,
    time: timestamp(core.clock.nowMs()),
  }
}

function clearServerMetadata(object: StoredObject): void {
  const { metadata } = object
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
  for (const key of [
    'uid',
    'resourceVersion',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'selfLink',
    'generation',
  ] as const) {
    delete (metadata as unknown as Record<string, unknown>)[key]
  }
}

function setServerMetadata(core: ApiCore, operation: Operation, object: StoredObject): void {
  const { metadata } = object
  if (!metadata.name && metadata.generateName) metadata.name = generatedName(metadata.generateName)
  metadata.uid = randomUUID()
  metadata.creationTimestamp = timestamp(core.clock.nowMs())
  if (operation.definition.tracksGeneration) metadata.generation = 1
}

/**
 * Creates an object: defaults, admission, validation, storage.
 * @param body as the client sent it; it is not changed
 * @param applied whether the body is a configuration of server-side apply
 * @throws KubeError 400, 403, 404, 409 or 422
 */
export async function createObject(
  core: ApiCore,
  operation: Operation,
  body: unknown,
  applied = false,
): Promise<StoredObject> {
  const { definition } = operation
  const given = identified(operation, body)
  clearServerMetadata(given)
  requireFree(core, operation, given)
  requireNamespace(core, operation, given.metadata.name ?? '')
  if (definition.hasStatus) delete given.status
  pruneUnknown(operation, given)
  const started = applied ? asApplied(core, operation, given) : given
  if (!applied) delete started.metadata.managedFields
  definition.strategy.setDefaults?.(started)
  const request = { ...operation, operation: 'CREATE' as const, object: started, oldObject: undefined }
  const object = await core.admission.mutate(request)
  definition.strategy.prune?.(object)
  definition.strategy.setDefaults?.(object)
  if (!applied) trackUpdate(undefined, object, definition.mergeSchema, writerOf(core, operation))
  setServerMetadata(core, operation, object)
  definition.strategy.prepareCreate?.(object, core.strategyEnv)
  checkValid(operation, object, undefined)
  await core.admission.validate({ ...request, object, name: object.metadata.name })
  requireNamespace(core, operation, object.metadata.name)
  if (operation.dryRun) return object
  return present(definition, core.store.create(definition.storage, toStorage(definition, object)))
}

function requireFree(core: ApiCore, { definition }: Operation, object: StoredObject): void {
  const { name, namespace } = object.metadata
  if (name && core.store.get(definition.storage, name, namespace))
    throw alreadyExists(definition.resource, name)
}

/** A new object from a configuration of server-side apply, with the account of its fields. */
function asApplied(core: ApiCore, operation: Operation, configuration: StoredObject): StoredObject {
  const live = { metadata: { ...configuration.metadata } }
  const writer = writerOf(core, operation, 'Apply')
  return cloneJson(applyConfiguration(live, configuration, operation.definition.mergeSchema, writer, true))
}
