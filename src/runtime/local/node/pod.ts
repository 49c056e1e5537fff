import { mkdirSync, rmSync } from 'node:fs'
import { resources } from '../../kube/resources.ts'
import { KubeError } from '../../kube/types.ts'
import { messageOf } from '../../shared/errors.ts'
import { addresses } from '../addresses.ts'
import { timestamp, unlessGone } from '../cluster.ts'
import type { Pod } from '../objects.ts'
import { ContainerRunner } from './container.ts'
import { ContainerConfigError } from './env-vars.ts'
import type { NodeParts } from './parts.ts'
import { PodContext } from './pod-context.ts'
import { kindOf, podStatus } from './pod-status.ts'

/** A sidecar that has to stop late still gets this much time, as with the kubelet. */
const leastSidecarGraceMs = 2_000

/** One pod on this node, from its binding to its removal. */
export class PodRunner {
  readonly #parts: NodeParts
  readonly #context: PodContext
  readonly #containers: ContainerRunner[]
  readonly #startedAt: string
  readonly #stopping = new AbortController()
  readonly #life: Promise<void>
  #failure: { reason: string; message: string } | undefined
  #termination: Promise<void> | undefined
  #deadlineTimer: NodeJS.Timeout | undefined
  #refreshTimer: NodeJS.Timeout | undefined
  #writtenStatus = ''
  #isWriting = false
  #isDirty = false

  constructor(parts: NodeParts, pod: Pod) {
    this.#parts = parts
    this.#startedAt = timestamp(parts.cluster.clock.nowMs())
    this.#context = new PodContext(parts, pod, () => this.#statusChanged())
    const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
    this.#containers = all.map(
      (container) => new ContainerRunner(this.#context, container, kindOf(pod, container)),
    )
    this.#life = this.#live().catch((error: unknown) => this.#failWith('Error', messageOf(error)))
  }

  get pod(): Pod {
    return this.#context.pod
  }

  get context(): PodContext {
    return this.#context
  }

  container(name: string): ContainerRunner | undefined {
    return this.#containers.find(({ container }) => container.name === name)
  }

  /** Takes over a newer version of the pod. */
  update(pod: Pod): void {
    const isRelabelled = JSON.stringify(pod.metadata) !== JSON.stringify(this.pod.metadata)
    this.#context.pod = pod
    if (isRelabelled) this.refreshVolumes()
  }

  /** Brings volumes that are made from objects up to date. */
  refreshVolumes(): void {
    this.#context.configChanged()
    if (this.#stopping.signal.aborted || !this.#containers.some(({ isRunning }) => isRunning)) return
    try {
      this.#context.volumes.prepare(this.#context.facts(), this.#context.configSource())
    } catch (error) {
      // What the running containers have stays as it is.
      this.#parts.events.warning(this.#context.subject(), 'FailedMount', messageOf(error))
    }
    this.#scheduleRefresh()
  }

  /** Ends all containers and releases what the pod had on this machine. May be called again with less time. */
  async terminate(graceMs: number): Promise<void> {
    this.#termination ??= this.#terminate(graceMs)
    if (graceMs === 0) for (const container of this.#containers) container.killNow()
    await this.#termination
  }

  /** Removes the logs, after {@link terminate}. */
  forget(): void {
    rmSync(this.#context.logFolder, { recursive: true, force: true })
  }

  // === Life ===

  async #live(): Promise<void> {
    if (!(await this.#setUp())) return
    this.#watchDeadline()
    const sidecarRuns: Promise<void>[] = []
    for (const runner of this.#containers.filter(({ kind }) => kind !== 'app')) {
      const run = runner.run()
      if (runner.kind === 'sidecar') sidecarRuns.push(run)
      await (runner.kind === 'sidecar' ? runner.started : run)
      const hasFailed = runner.kind === 'init' && runner.state.terminated?.exitCode !== 0
      if (hasFailed || this.#stopping.signal.aborted) return this.#finish(sidecarRuns)
    }
    this.#scheduleRefresh()
    const apps = this.#containers.filter(({ kind }) => kind === 'app')
    this.#markCreating(apps)
    await Promise.all(apps.map((runner) => runner.run()))
    await this.#finish(sidecarRuns)
  }

  #markCreating(apps: ContainerRunner[]): void {
    for (const app of apps) if (app.state.waiting) app.state = { waiting: { reason: 'ContainerCreating' } }
  }

  /** Makes the network and waits for the volumes; false when the pod is stopped before. */
  async #setUp(): Promise<boolean> {
    const { timing, network } = this.#parts
    mkdirSync(this.#context.folder, { recursive: true })
    const { uid = '', name } = this.pod.metadata
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#context.hasOwnNetwork && this.#context.link === undefined) {
          this.#context.link = await network.addPod(
            `${name.slice(0, 40)}-${uid.slice(0, 8)}`,
            this.#sysctls(),
          )
        }
        this.#context.volumes.prepare(this.#context.facts(), this.#context.configSource())
        this.#statusChanged()
        return true
      } catch (error) {
        const reason = error instanceof ContainerConfigError ? 'FailedMount' : 'FailedCreatePodSandBox'
        this.#parts.events.warning(this.#context.subject(), reason, messageOf(error))
        await this.#context.waitForConfig(timing.missingRetryMs, this.#stopping.signal)
      }
    }
    return false
  }

  /** Network settings of the pod in the form of paths below `/proc/sys/net`. */
  #sysctls(): string[] {
    const { sysctls = [] } = this.pod.spec.securityContext ?? {}
    return sysctls
      .filter(({ name, value }) => /^net\.[\w.-]+$/.test(name) && /^[\d\s]+$/.test(value))
      .map(({ name, value }) => `${name.slice('net.'.length).replaceAll('.', '/')}=${value}`)
  }

  /** The pod has done its work: sidecars end, the last to start first. */
  async #finish(sidecarRuns: Promise<void>[]): Promise<void> {
    if (this.#termination !== undefined) return
    const graceMs = (this.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000
    await this.#stopSidecars(this.#parts.cluster.clock.nowMs() + graceMs)
    await Promise.all(sidecarRuns)
    await this.#release()
    this.#statusChanged()
  }

  #watchDeadline(): void {
    const { activeDeadlineSeconds } = this.pod.spec
    if (activeDeadlineSeconds === undefined) return
    this.#deadlineTimer = setTimeout(() => {
      this.#failWith('DeadlineExceeded', 'Pod was active on the node longer than the specified deadline')
      void this.terminate((this.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000)
    }, activeDeadlineSeconds * 1000)
  }

  #failWith(reason: string, message: string): void {
    this.#failure = { reason, message }
    this.#statusChanged()
  }

  // === End ===

  async #terminate(graceMs: number): Promise<void> {
    const deadlineMs = this.#parts.cluster.clock.nowMs() + graceMs
    this.#stopping.abort()
    const early = this.#containers.filter(({ kind }) => kind !== 'sidecar')
    await Promise.all(early.map((runner) => runner.stop(graceMs)))
    await this.#stopSidecars(deadlineMs)
    await this.#life
    await this.#release()
    await this.#writeStatus()
  }

  async #stopSidecars(deadlineMs: number): Promise<void> {
    const sidecars = this.#containers.filter(({ kind }) => kind === 'sidecar')
    for (const sidecar of sidecars.reverse()) {
      const leftMs = deadlineMs - this.#parts.cluster.clock.nowMs()
      await sidecar.stop(Math.max(leftMs, leastSidecarGraceMs))
    }
  }

  async #release(): Promise<void> {
    clearTimeout(this.#deadlineTimer)
    clearTimeout(this.#refreshTimer)
    const { link, relay } = this.#context
    this.#context.link = undefined
    relay?.close()
    if (link !== undefined) await this.#parts.network.removePod(link)
    rmSync(this.#context.folder, { recursive: true, force: true })
  }

  #scheduleRefresh(): void {
    clearTimeout(this.#refreshTimer)
    const atMs = this.#context.volumes.renewAtMs()
    if (atMs === undefined) return
    const waitMs = Math.max(1000, atMs - this.#parts.cluster.clock.nowMs())
    this.#refreshTimer = setTimeout(() => this.refreshVolumes(), waitMs)
  }

  // === Status ===

  #statusChanged(): void {
    this.#isDirty = true
    if (this.#isWriting) return
    this.#isWriting = true
    void this.#writeWhileDirty().finally(() => {
      this.#isWriting = false
    })
  }

  async #writeWhileDirty(): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false
      // Changes of the same turn are written together.
      await Promise.resolve()
      try {
        await this.#writeStatus()
      } catch (error) {
        if (this.#parts.cluster.signal.aborted) return
        this.#parts.cluster.logger.warn(
          { pod: this.pod.metadata.name, reason: messageOf(error) },
          'status not written',
        )
        await this.#parts.cluster.clock.sleep(200)
        this.#isDirty = true
      }
    }
  }

  async #writeStatus(): Promise<void> {
    const { client, clock } = this.#parts.cluster
    const view = {
      pod: this.pod,
      containers: this.#containers,
      nodeIp: addresses.node,
      podIps: this.#context.podIps,
      startedAt: this.#startedAt,
      failure: this.#failure,
    }
    const status = podStatus(view, clock.nowMs())
    const text = JSON.stringify(status)
    if (text === this.#writtenStatus) return
    const { name, namespace = '', uid } = this.pod.metadata
    const options = { namespace, subresource: 'status' }
    // A pod of the same name may have taken the place of one that was removed by force.
    const patch = { metadata: { uid }, status }
    const written = await unlessGone(client.mergePatch<Pod>(resources.pods, name, patch, options)).catch(
      (error: unknown) => this.#unlessReplaced(error),
    )
    this.#writtenStatus = text
    // Transition times of conditions are taken from the pod, so it must know what was written.
    if (written?.metadata.uid === this.pod.metadata.uid && written !== undefined) {
      this.#context.pod = { ...this.pod, status: written.status ?? {} }
    }
  }

  /** Passes an error on, but for the conflict with another pod of this name. */
  #unlessReplaced(error: unknown): undefined {
    const { name, namespace, uid } = this.pod.metadata
    const isConflict = error instanceof KubeError && error.status === 409
    const present = this.#parts.cluster.cache.pods.get(name, namespace)
    if (!isConflict || present?.metadata.uid === uid) throw error
    return undefined
  }
}
