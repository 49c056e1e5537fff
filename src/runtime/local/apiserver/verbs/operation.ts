import type { Clock } from '../../../shared/clock.ts'
import type { Logger } from '../../../shared/logger.ts'
import type { Admission } from '../admission/admission.ts'
import type { StoredObject, User } from '../objects.ts'
import type { KindDefinition, StrategyEnv } from '../registry/definition.ts'
import { apiVersionOf } from '../registry/definition.ts'
import type { Registry } from '../registry/registry.ts'
import type { Store } from '../store.ts'

/** The parts of the server that every verb works with. */
export interface ApiCore {
  store: Store
  registry: Registry
  admission: Admission
  strategyEnv: StrategyEnv
  clock: Clock
  logger: Logger
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

/** One request for one kind, from whatever side it came. */
export interface Operation {
  definition: KindDefinition
  namespace?: string | undefined
  /** Empty for collections and for `generateName`. */
  name?: string | undefined
  subresource?: string | undefined
  user: User
  dryRun: boolean
  fieldManager: string
  fieldValidation: FieldValidation
  /** Filled during the request, shown to the client as Warning headers. */
  warnings: string[]
}

/** The object in the version that the request is about. */
export function present(definition: KindDefinition, object: StoredObject): StoredObject {
  const apiVersion = apiVersionOf(definition.resource)
  const { kind } = definition.resource
  if (object.apiVersion === apiVersion && object.kind === kind) return object
  return { ...object, apiVersion, kind }
}

/** The object in the version that is stored. */
export function toStorage(definition: KindDefinition, object: StoredObject): StoredObject {
  return { ...object, apiVersion: definition.storageApiVersion, kind: definition.resource.kind }
}
