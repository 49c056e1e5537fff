import { resources } from '../../kube/resources.ts'
import { messageOf } from '../../shared/errors.ts'
import { nodeName } from '../addresses.ts'
import type { NodeHooks } from '../apiserver/types.ts'
import { hasEnded } from '../controllers/conditions.ts'
import type { Change } from '../informer.ts'
import type { Pod } from '../objects.ts'
import { nodeHooks } from './hooks.ts'
import type { NodeParts } from './parts.ts'
import { PodRunner } from './pod.ts'

/** Runs the pods that are bound to this node. */
export class NodeAgent {
  readonly hooks: NodeHooks
  readonly #parts: NodeParts
  /** By uid. */
  readonly #runners = new Map<string, PodRunner>()
  readonly #ending = new Set<string>()
  #isStopping = false

  constructor(parts: NodeParts) {
    this.#parts = parts
    this.hooks = nodeHooks((namespace, name) => this.#find(namespace, name))
  }

  start(): void {
    const { pods, configMaps, secrets } = this.#parts.cluster.cache
    pods.onChange((change) => this.#onPod(change))
    const refresh = ({ before, after }: Change<{ metadata: { namespace?: string; name: string } }>) => {
      const namespace = (after ?? before)?.metadata.namespace
      for (const runner of this.#runners.values()) {
        if (runner.pod.metadata.namespace === namespace) runner.refreshVolumes()
      }
    }
    configMaps.onChange(refresh)
    secrets.onChange(refresh)
  }

  /** Ends every pod. Each has its own grace period, but no more than this. */
  async stop(longestGraceMs: number): Promise<void> {
    this.#isStopping = true
    await Promise.all(
      [...this.#runners.values()].map((runner) => {
        const graceMs = (runner.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000
        return runner.terminate(Math.min(graceMs, longestGraceMs))
      }),
    )
  }

  #find(namespace: string, name: string): PodRunner | undefined {
    return [...this.#runners.values()].find(
      ({ pod: { metadata } }) => metadata.name === name && metadata.namespace === namespace,
    )
  }

  #onPod({ before, after }: Change<Pod>): void {
    const pod = after ?? before
    const uid = pod?.metadata.uid
    if (pod === undefined || uid === undefined || pod.spec.nodeName !== nodeName) return
    const runner = this.#runners.get(uid)
    if (after === undefined) {
      if (runner !== undefined) void this.#end(uid, runner, 0)
      return
    }
    runner?.update(pod)
    if (pod.metadata.deletionTimestamp !== undefined) {
      const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000
      void this.#end(uid, runner, graceMs, pod)
    } else if (runner === undefined && !this.#isStopping && !hasEnded(pod)) {
      this.#runners.set(uid, new PodRunner(this.#parts, pod))
    }
  }

  async #end(uid: string, runner: PodRunner | undefined, graceMs: number, pod?: Pod): Promise<void> {
    if (this.#ending.has(uid)) {
      if (graceMs === 0) await runner?.terminate(0)
      return
    }
    this.#ending.add(uid)
    try {
      await runner?.terminate(graceMs)
      runner?.forget()
      this.#runners.delete(uid)
      if (pod !== undefined) await this.#removeObject(pod)
    } catch (error) {
      this.#parts.cluster.logger.error({ pod: uid, reason: messageOf(error) }, 'pod could not be removed')
    } finally {
      this.#ending.delete(uid)
    }
  }

  /** Tells the API server that nothing of the pod is left, so that its object can go. */
  async #removeObject({ metadata }: Pod): Promise<void> {
    const { name, namespace = '', uid } = metadata
    const path = `/api/v1/namespaces/${namespace}/${resources.pods.plural}/${name}`
    const body = JSON.stringify({ gracePeriodSeconds: 0, preconditions: { uid } })
    const headers = { 'content-type': 'application/json' }
    const { status } = await this.#parts.cluster.client.raw({ method: 'DELETE', path, headers, body })
    if (status >= 400 && status !== 404 && status !== 409) {
      throw new Error(`the API server answered ${status} when ${namespace}/${name} was to be removed`)
    }
  }
}
