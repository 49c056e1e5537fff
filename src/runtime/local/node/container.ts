import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../shared/errors.ts'
import { timestamp } from '../cluster.ts'
import type { Container, ContainerStateStatus, Probe } from '../objects.ts'
import { ContainerLog } from './container-log.ts'
import { ContainerProcess, execLine, LaunchError, type ProcessExit } from './container-process.ts'
import { ContainerConfigError } from './env-vars.ts'
import { discardContainer, type PreparedContainer, prepareContainer } from './launch-plan.ts'
import { runHook } from './lifecycle-hook.ts'
import { type PodContext, runToEnd } from './pod-context.ts'
import { type ContainerKind, type ContainerView, initialState } from './pod-status.ts'
import type { ProbeTarget } from './probe-check.ts'
import { RestartBackOff, shallRestart } from './restart.ts'
import { type ProbeName, supervise } from './supervise.ts'

/** The container cannot start as things are; `reason` is shown in the status. */
class CannotStart extends Error {
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

/** One run of a container. */
interface Run {
  plan: PreparedContainer
  process: ContainerProcess
  startedAtMs: number
  /** Aborts when the process has ended. */
  ended: AbortController
}

const maxMessageBytes = 4096

/** A container of a pod from its first start to its last end, as the kubelet would treat it. */
export class ContainerRunner implements ContainerView {
  readonly container: Container
  readonly kind: ContainerKind
  state: ContainerStateStatus
  lastState: ContainerStateStatus = {}
  isReady = false
  isStarted = false
  isFinished = false
  restartCount = 0
  containerId: string | undefined
  /** Resolves when the container has started for the first time, or will never start. */
  readonly started: Promise<void>
  readonly #context: PodContext
  readonly #stopping = new AbortController()
  readonly #backOff: RestartBackOff
  #markStarted: () => void = () => undefined
  #run: Run | undefined
  #log: ContainerLog | undefined
  #previousLog: ContainerLog | undefined
  #killing: Promise<void> | undefined

  constructor(context: PodContext, container: Container, kind: ContainerKind) {
    this.#context = context
    this.container = container
    this.kind = kind
    this.#backOff = new RestartBackOff(context.parts.timing)
    this.state = initialState((context.pod.spec.initContainers ?? []).length > 0)
    this.started = new Promise((resolve) => {
      this.#markStarted = resolve
    })
  }

  get isRunning(): boolean {
    return this.#run !== undefined
  }

  /** Runs the container, and again as its restart policy says, until it has ended for good. */
  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const run = await this.#start()
      if (run === undefined) break
      const exit = await this.#watch(run)
      this.#finishRun(run, exit)
      const policy = this.#context.pod.spec.restartPolicy ?? 'Always'
      if (this.#stopping.signal.aborted || !shallRestart(this.kind, policy, exit.exitCode)) break
      await this.#wait(run)
      if (this.#stopping.signal.aborted) break
      this.restartCount += 1
    }
    this.isFinished = true
    this.#markStarted()
    this.#context.onChange()
  }

  /** Ends the container for good. The time includes the `preStop` hook; after it the container is killed. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort()
    await this.#kill(`Stopping container ${this.container.name}`, graceMs)
  }

  /** Ends the container at once. */
  killNow(): void {
    this.#stopping.abort()
    this.#run?.process.kill('SIGKILL')
  }

  /** The log of this run, or of the one before. */
  log(isPrevious: boolean): ContainerLog | undefined {
    return isPrevious ? this.#previousLog : this.#log
  }

  /** A command line that runs a program inside, or undefined while the container does not run. */
  execLine(command: string[]): string[] | undefined {
    const run = this.#run
    return run && execLine(run.process, run.plan, command, this.#context.parts.tools)
  }

  // === Start ===

  /** Tries until the container runs; answers undefined when it is stopped first. */
  async #start(): Promise<Run | undefined> {
    const { timing } = this.#context.parts
    for (let tries = 0; !this.#stopping.signal.aborted; tries++) {
      try {
        return await this.#launch()
      } catch (error) {
        const { reason, message } = describeProblem(error)
        if (tries === 0 || reason !== this.state.waiting?.reason) this.#warn('Failed', `Error: ${message}`)
        const isPull = reason === 'ErrImagePull' && tries > 0
        this.#setState({ waiting: { reason: isPull ? 'ImagePullBackOff' : reason, message } })
      }
      await this.#context.waitForConfig(timing.missingRetryMs, this.#stopping.signal)
    }
    return undefined
  }

  async #launch(): Promise<Run> {
    const { parts } = this.#context
    const image = this.container.image ?? ''
    const entry = parts.findImage(image)
    if (entry === undefined) throw new CannotStart('ErrImagePull', parts.imageAdvice(image))
    const id = randomBytes(32).toString('hex')
    const plan = prepareContainer(this.#context, this.container, entry, id)
    this.#normal('Pulled', `Container image "${image}" already present on machine`)
    this.#openLog()
    this.#normal('Created', `Created container ${this.container.name}`)
    try {
      const process = await ContainerProcess.launch(plan, parts.tools, (stdout, stderr) => {
        this.#log?.attach('stdout', stdout)
        this.#log?.attach('stderr', stderr)
      })
      this.containerId = `mesh://${id}`
      return this.#begin({
        plan,
        process,
        startedAtMs: parts.cluster.clock.nowMs(),
        ended: new AbortController(),
      })
    } catch (error) {
      discardContainer(plan)
      throw error
    }
  }

  #begin(run: Run): Run {
    this.#run = run
    const { startupProbe, readinessProbe, lifecycle } = this.container
    this.isStarted = startupProbe === undefined && lifecycle?.postStart === undefined
    this.isReady = this.isStarted && readinessProbe === undefined
    this.#normal('Started', `Started container ${this.container.name}`)
    this.#setState({ running: { startedAt: timestamp(run.startedAtMs) } })
    void run.process.exited.then(() => run.ended.abort())
    // A stop that came while the container was being started found nothing to kill.
    if (this.#stopping.signal.aborted) run.process.kill('SIGKILL')
    return run
  }

  #openLog(): void {
    this.#previousLog?.remove()
    this.#previousLog = this.#log
    const path = join(this.#context.logFolder, this.container.name, `${this.restartCount}.log`)
    this.#log = new ContainerLog(path, this.#context.parts.cluster.clock)
  }

  // === Run ===

  async #watch(run: Run): Promise<ProcessExit> {
    await this.#postStart(run)
    supervise({
      container: this.container,
      clock: this.#context.parts.cluster.clock,
      target: this.#probeTarget(),
      ended: run.ended.signal,
      stopping: this.#stopping.signal,
      onStarted: () => this.#started(),
      onReadiness: (isReady) => {
        this.isReady = isReady
        this.#context.onChange()
      },
      onFailed: (name, message, probe) => this.#fail(name, message, probe),
      onUnhealthy: (message) => this.#warn('Unhealthy', message),
    })
    return run.process.exited
  }

  #started(): void {
    this.isStarted = true
    this.isReady = this.container.readinessProbe === undefined
    this.#markStarted()
    this.#context.onChange()
  }

  async #postStart(run: Run): Promise<void> {
    const hook = this.container.lifecycle?.postStart
    if (hook === undefined) return
    try {
      await runHook(hook, this.#probeTarget(), this.#context.parts.cluster.clock, run.ended.signal)
    } catch (error) {
      if (run.ended.signal.aborted) return
      this.#warn('FailedPostStartHook', `PostStartHook failed: ${messageOf(error)}`)
      void this.#kill('FailedPostStartHook', this.#graceMs())
    }
  }

  #probeTarget(): ProbeTarget {
    const exec: ProbeTarget['exec'] = (command, signal) => {
      const line = this.execLine(command)
      if (line === undefined) return Promise.reject(new Error('the container does not run'))
      return runToEnd(line, signal)
    }
    return { host: this.#context.podIps[0] ?? '127.0.0.1', container: this.container, exec }
  }

  #fail(name: ProbeName, message: string, probe: Probe): void {
    const what = `Container ${this.container.name} failed ${name.toLowerCase()} probe, will be restarted`
    const graceSeconds = probe.terminationGracePeriodSeconds
    const graceMs = graceSeconds === undefined ? this.#graceMs() : graceSeconds * 1000
    void this.#kill(`${what}: ${message}`, graceMs)
  }

  #graceMs(): number {
    return (this.#context.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000
  }

  // === End ===

  /** Ends the present run: hook, SIGTERM, and SIGKILL when the time is over. A second call joins the first. */
  #kill(message: string, graceMs: number): Promise<void> {
    const run = this.#run
    if (run === undefined) return Promise.resolve()
    this.#killing ??= this.#killRun(run, message, graceMs).finally(() => {
      this.#killing = undefined
    })
    return this.#killing
  }

  async #killRun(run: Run, message: string, graceMs: number): Promise<void> {
    const { clock } = this.#context.parts.cluster
    this.#normal('Killing', message)
    const kill = () => run.process.kill('SIGKILL')
    const timer = clock.sleep(graceMs, run.ended.signal).then(kill, () => undefined)
    const hook = this.container.lifecycle?.preStop
    if (hook !== undefined && graceMs > 0) {
      const limit = AbortSignal.any([run.ended.signal, AbortSignal.timeout(graceMs)])
      await runHook(hook, this.#probeTarget(), clock, limit).catch((error: unknown) => {
        if (!run.ended.signal.aborted)
          this.#warn('FailedPreStopHook', `PreStopHook failed: ${messageOf(error)}`)
      })
    }
    run.process.kill(graceMs > 0 ? 'SIGTERM' : 'SIGKILL')
    await Promise.all([run.process.exited, timer])
  }

  #finishRun(run: Run, { exitCode }: ProcessExit): void {
    this.#run = undefined
    this.isReady = false
    this.isStarted = false
    const message = this.#terminationMessage(run, exitCode)
    discardContainer(run.plan)
    this.#log?.close()
    this.#setState({
      terminated: {
        exitCode,
        reason: exitCode === 0 ? 'Completed' : 'Error',
        ...(message === '' ? {} : { message }),
        startedAt: timestamp(run.startedAtMs),
        finishedAt: timestamp(this.#context.parts.cluster.clock.nowMs()),
        ...(this.containerId === undefined ? {} : { containerID: this.containerId }),
      },
    })
  }

  #terminationMessage({ plan }: Run, exitCode: number): string {
    const written = readFileSync(plan.messageFile, 'utf8').slice(0, maxMessageBytes)
    if (written !== '' || exitCode === 0) return written
    if (this.container.terminationMessagePolicy !== 'FallbackToLogsOnError') return ''
    return this.#log?.tail(2048, 80) ?? ''
  }

  /** Waits before the next start. */
  async #wait(run: Run): Promise<void> {
    const { clock } = this.#context.parts.cluster
    const waitMs = this.#backOff.next(clock.nowMs() - run.startedAtMs)
    this.lastState = this.state
    if (waitMs === 0) return
    const { name, namespace, uid } = this.#context.pod.metadata
    const pod = `${name}_${namespace}(${uid})`
    this.#warn('BackOff', `Back-off restarting failed container ${this.container.name} in pod ${pod}`)
    const message = `back-off ${waitMs / 1000}s restarting failed container=${this.container.name} pod=${pod}`
    this.#setState({ waiting: { reason: 'CrashLoopBackOff', message } })
    await clock.sleep(waitMs, this.#stopping.signal).catch(() => undefined)
    // Stopped while it waited: what is left to tell is how it ended.
    if (this.#stopping.signal.aborted) this.#setState(this.lastState)
  }

  // === What others see ===

  #setState(state: ContainerStateStatus): void {
    this.state = state
    this.#context.onChange()
  }

  #normal(reason: string, message: string): void {
    this.#context.parts.events.normal(this.#context.subject(this.container), reason, message)
  }

  #warn(reason: string, message: string): void {
    this.#context.parts.events.warning(this.#context.subject(this.container), reason, message)
  }
}

function describeProblem(error: unknown): { reason: string; message: string } {
  const message = messageOf(error)
  if (error instanceof CannotStart) return { reason: error.reason, message }
  if (error instanceof ContainerConfigError) return { reason: 'CreateContainerConfigError', message }
  if (error instanceof LaunchError) return { reason: 'RunContainerError', message }
  return { reason: 'CreateContainerError', message }
}
