import { timestamp } from '../cluster.ts'
import { withCondition } from '../controllers/conditions.ts'
import type {
  Condition,
  Container,
  ContainerStateStatus,
  ContainerStatus,
  Pod,
  PodPhase,
  PodStatus,
} from '../objects.ts'

export type ContainerKind = 'init' | 'sidecar' | 'app'

/** What the agent knows about one container. */
export interface ContainerView {
  container: Container
  kind: ContainerKind
  state: ContainerStateStatus
  lastState: ContainerStateStatus
  /** Passes its readiness probe, if it has one. */
  isReady: boolean
  /** Runs and has passed its startup probe, if it has one. */
  isStarted: boolean
  /** Ended and will not be restarted. */
  isFinished: boolean
  restartCount: number
  containerId: string | undefined
}

/** What the agent knows about a pod. */
export interface PodView {
  pod: Pod
  containers: ContainerView[]
  nodeIp: string
  podIps: string[]
  startedAt: string
  /** Why the pod as a whole failed. */
  failure: { reason: string; message: string } | undefined
}

/** The kind of a container of a pod. */
export function kindOf(pod: Pod, container: Container): ContainerKind {
  if (!pod.spec.initContainers?.includes(container)) return 'app'
  return container.restartPolicy === 'Always' ? 'sidecar' : 'init'
}

/** A container as it is before anything was done. */
export function initialState(hasInitContainers: boolean): ContainerStateStatus {
  return { waiting: { reason: hasInitContainers ? 'PodInitializing' : 'ContainerCreating' } }
}

export function phaseOf({ containers, failure }: PodView): PodPhase {
  if (failure !== undefined) return 'Failed'
  const apps = containers.filter(({ kind }) => kind === 'app')
  const inits = containers.filter(({ kind }) => kind === 'init')
  const exitCode = (view: ContainerView) => view.state.terminated?.exitCode
  if (inits.some((view) => view.isFinished && exitCode(view) !== 0)) return 'Failed'
  if (apps.length > 0 && apps.every((view) => view.isFinished && view.state.terminated !== undefined)) {
    return apps.every((view) => exitCode(view) === 0) ? 'Succeeded' : 'Failed'
  }
  const hasRun = (view: ContainerView) => view.state.waiting === undefined || view.restartCount > 0
  return isInitialized(containers) && apps.every(hasRun) ? 'Running' : 'Pending'
}

function isInitialized(containers: ContainerView[]): boolean {
  return containers.every((view) => {
    if (view.kind === 'app') return true
    return view.kind === 'sidecar' ? view.isStarted || view.restartCount > 0 : view.isFinished
  })
}

/** The status of a pod, to be written to the API server. */
export function podStatus(view: PodView, nowMs: number): PodStatus {
  const now = timestamp(nowMs)
  const phase = phaseOf(view)
  const { nodeIp, podIps, failure } = view
  const statuses = (kinds: ContainerKind[]) =>
    view.containers.filter(({ kind }) => kinds.includes(kind)).map(containerStatus)
  return {
    phase,
    ...failure,
    conditions: conditionsOf(view, phase, now),
    hostIP: nodeIp,
    hostIPs: [{ ip: nodeIp }],
    ...(podIps[0] === undefined ? {} : { podIP: podIps[0], podIPs: podIps.map((ip) => ({ ip })) }),
    startTime: view.startedAt,
    qosClass: qosClass(view.pod),
    ...(view.pod.spec.initContainers?.length ? { initContainerStatuses: statuses(['init', 'sidecar']) } : {}),
    containerStatuses: statuses(['app']),
  }
}

function containerStatus(view: ContainerView): ContainerStatus {
  const { container, kind, state } = view
  const isRunning = state.running !== undefined
  const isDone = kind === 'init' && state.terminated?.exitCode === 0
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: view.containerId === undefined ? '' : (container.image ?? ''),
    ...(view.containerId === undefined ? {} : { containerID: view.containerId }),
    ready: kind === 'init' ? isDone : isRunning && view.isReady,
    started: isRunning && view.isStarted,
    restartCount: view.restartCount,
    state,
    lastState: view.lastState,
  }
}

function conditionsOf(view: PodView, phase: PodPhase, now: string): Condition[] {
  const { containers, podIps } = view
  let conditions = view.pod.status?.conditions ?? []
  const set = (type: string, isTrue: boolean, why?: { reason: string; message?: string }) => {
    const status = isTrue ? ('True' as const) : ('False' as const)
    conditions = withCondition(conditions, { type, status, ...why }, now)
  }
  const waiting = containers.filter(({ kind, isStarted, isFinished }) =>
    kind === 'init' ? !isFinished : kind === 'sidecar' && !isStarted,
  )
  const unready = containers.filter(
    ({ kind, state, isReady }) => kind !== 'init' && !(state.running && isReady),
  )
  const ended = phase === 'Succeeded' ? { reason: 'PodCompleted' } : { reason: 'PodFailed' }
  const hasEnded = phase === 'Succeeded' || phase === 'Failed'
  const notReady = hasEnded ? ended : named('ContainersNotReady', 'unready', unready)
  set('PodReadyToStartContainers', podIps.length > 0 && !hasEnded)
  const initialized = isInitialized(containers) || phase === 'Succeeded'
  set(
    'Initialized',
    initialized,
    initialized ? undefined : named('ContainersNotInitialized', 'incomplete', waiting),
  )
  const ready = unready.length === 0 && !hasEnded && initialized
  set('Ready', ready, ready ? undefined : notReady)
  set('ContainersReady', ready, ready ? undefined : notReady)
  set('PodScheduled', true)
  return conditions
}

function named(
  reason: string,
  what: string,
  containers: ContainerView[],
): { reason: string; message: string } {
  const names = containers.map(({ container }) => container.name).join(' ')
  return { reason, message: `containers with ${what} status: [${names}]` }
}

/** The class by which Kubernetes would rank the pod when memory is short. */
function qosClass({ spec }: Pod): string {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])]
  const kinds = ['cpu', 'memory']
  const isGuaranteed = containers.every(({ resources }) =>
    kinds.every((kind) => {
      const limit = resources?.limits?.[kind]
      return limit !== undefined && (resources?.requests?.[kind] ?? limit) === limit
    }),
  )
  if (isGuaranteed) return 'Guaranteed'
  const hasAny = containers.some(({ resources }) =>
    [...Object.keys(resources?.limits ?? {}), ...Object.keys(resources?.requests ?? {})].some((kind) =>
      kinds.includes(kind),
    ),
  )
  return hasAny ? 'Burstable' : 'BestEffort'
}
