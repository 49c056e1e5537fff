import type { StoredObject, User } from '../objects.ts'
import type { KindDefinition } from '../registry/definition.ts'

/** A write that is about to happen. */
export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  definition: KindDefinition
  subresource?: string | undefined
  name?: string | undefined
  namespace?: string | undefined
  /** Undefined for a deletion. */
  object: StoredObject | undefined
  /** Undefined for a creation. */
  oldObject: StoredObject | undefined
  dryRun: boolean
  user: User
  /** Gets the warnings of webhooks. */
  warnings: string[]
}

/** A rule of the server itself that may change what is written. */
export interface AdmissionPlugin {
  mutate?(request: AdmissionRequest): void | Promise<void>
  validate?(request: AdmissionRequest): void | Promise<void>
}

/** What stands between a request and the storage: built-in plugins first, then webhooks. */
export class Admission {
  readonly #plugins: readonly AdmissionPlugin[]

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#plugins = plugins
  }

  /**
   * The object as the plugins and webhooks make it.
   * @throws KubeError 403, or whatever a webhook answers
   */
  async mutate(request: AdmissionRequest & { object: StoredObject }): Promise<StoredObject> {
    for (const plugin of this.#plugins) await plugin.mutate?.(request)
    return request.object
  }

  /** Mutating webhooks are also asked about deletions, though there is nothing to change. */
  async mutateDelete(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) await plugin.mutate?.(request)
  }

  /** @throws KubeError 403, or whatever a webhook answers */
  async validate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) await plugin.validate?.(request)
  }
}
