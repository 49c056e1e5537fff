import { isDeepStrictEqual } from 'node:util'
import { Counter, Histogram, type Registry } from 'prom-client'
import type { KubeClient, KubeObject, Resource } from '../../../kube/types.ts'
import { KubeError } from '../../../kube/types.ts'
import type { Clock } from '../../../shared/clock.ts'

interface WithStatus extends KubeObject {
  status?: object
}

/** Makes a status from the one that is there. */
export type RenderStatus = (current: object, generation: number, now: string) => object

/** Writes what resources are told about themselves. */
export class StatusWriter {
  readonly #kube: KubeClient
  readonly #clock: Clock
  readonly #patches: Counter
  readonly #errors: Counter
  readonly #durationS: Histogram

  constructor(kube: KubeClient, clock: Clock, registry: Registry) {
    this.#kube = kube
    this.#clock = clock
    const registers = [registry]
    this.#patches = new Counter({
      name: 'resource_status_patches',
      help: 'Status patches that were sent',
      registers,
    })
    this.#errors = new Counter({
      name: 'resource_status_patch_api_errors',
      help: 'Status patches that failed',
      registers,
    })
    this.#durationS = new Histogram({
      name: 'resource_status_patch_duration_seconds',
      help: 'How long status patches took',
      registers,
    })
  }

  /**
   * Makes the status of an object say this. Nothing is sent when it says so already.
   * @throws KubeError when the API server does not take it
   */
  async write(
    resource: Resource,
    { namespace, name }: { namespace: string; name: string },
    render: RenderStatus,
  ): Promise<void> {
    const object = await this.#kube.read<WithStatus>(resource, name, namespace)
    if (object === undefined) return
    const current = object.status ?? {}
    const now = new Date(this.#clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const status = render(current, object.metadata.generation ?? 0, now)
    if (isDeepStrictEqual(current, status)) return
    const startMs = this.#clock.nowMs()
    try {
      // The version makes the server refuse what was computed from an older object.
      const metadata = { resourceVersion: object.metadata.resourceVersion }
      const options = { namespace, subresource: 'status' }
      await this.#kube.mergePatch(resource, name, { metadata, status }, options)
      this.#patches.inc()
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return
      this.#errors.inc()
      throw error
    } finally {
      this.#durationS.observe((this.#clock.nowMs() - startMs) / 1000)
    }
  }
}
