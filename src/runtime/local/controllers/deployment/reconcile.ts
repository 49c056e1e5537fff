import type { Condition, Deployment, DeploymentStatus, ReplicaSet } from '../../objects.ts'
import { findCondition, withCondition } from '../conditions.ts'
import { templateHash } from '../template-hash.ts'

/** What to do about a Deployment. */
export interface DeploymentPlan {
  /** Hash of the pod template, which names the current ReplicaSet. */
  hash: string
  /** Create the current ReplicaSet with this many pods. */
  createWith: number | undefined
  /** ReplicaSets whose size has to change. */
  scale: { set: ReplicaSet; replicas: number }[]
  /** Old, empty ReplicaSets beyond the history limit. */
  forget: ReplicaSet[]
  revision: number
  status: DeploymentStatus
  /** When to look whether the rollout is late. */
  againMs: number | undefined
}

/** Labels pods and ReplicaSets with the hash of their template. */
export const templateHashLabel = 'pod-template-hash'
export const revisionAnnotation = 'deployment.kubernetes.io/revision'

/**
 * Decides the sizes of a Deployment's ReplicaSets: with `RollingUpdate` never more than replicas + maxSurge pods and
 * never fewer available than replicas - maxUnavailable; with `Recreate` no new pod before all old ones are gone.
 * @param sets all ReplicaSets that the Deployment controls
 * @param oldPods pods of old ReplicaSets that still exist, also those that are terminating
 */
export function planDeployment(
  deployment: Deployment,
  sets: ReplicaSet[],
  oldPods: number,
  nowMs: number,
): DeploymentPlan {
  const hash = templateHash(deployment.spec.template)
  const current = sets.find((set) => set.metadata.labels?.[templateHashLabel] === hash)
  const old = sets.filter((set) => set !== current)
  const state: Rollout = { deployment, current, old, oldPods, wanted: deployment.spec.replicas ?? 1 }
  const revision = currentRevision(current, old)
  const status = statusOf(state, sets, nowMs)
  return {
    hash,
    ...(deployment.spec.paused ? planPaused(state) : planSizes(state)),
    forget: surplusHistory(deployment, old),
    revision,
    status,
    againMs: lateAtMs(deployment, status, nowMs),
  }
}

interface Rollout {
  deployment: Deployment
  current: ReplicaSet | undefined
  old: ReplicaSet[]
  oldPods: number
  wanted: number
}

type Sizes = Pick<DeploymentPlan, 'createWith' | 'scale'>

const sizeOf = (set: ReplicaSet | undefined) => set?.spec.replicas ?? 0
const availableOf = (set: ReplicaSet | undefined) => set?.status?.availableReplicas ?? 0
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

/** A paused Deployment still follows `replicas`, with the ReplicaSet that has pods. */
function planPaused(state: Rollout): Sizes {
  const active = [state.current, ...state.old].filter((set) => sizeOf(set) > 0)
  const [only] = active
  if (active.length !== 1 || only === undefined) return { createWith: undefined, scale: [] }
  return { createWith: undefined, scale: resize(only, state.wanted) }
}

function planSizes(state: Rollout): Sizes {
  const isRecreate = state.deployment.spec.strategy?.type === 'Recreate'
  if (isRecreate) return planRecreate(state)
  const limits = rollingLimits(state.deployment, state.wanted)
  const newSize = sizeOfCurrent(state, limits.maxSurge)
  const scale = state.current === undefined ? [] : resize(state.current, newSize)
  return {
    createWith: state.current === undefined ? newSize : undefined,
    scale: [...scale, ...shrinkOld(state, limits.maxUnavailable)],
  }
}

function planRecreate(state: Rollout): Sizes {
  const emptied = state.old.flatMap((set) => resize(set, 0))
  if (state.oldPods > 0 || emptied.length > 0) return { createWith: undefined, scale: emptied }
  if (state.current === undefined) return { createWith: state.wanted, scale: [] }
  return { createWith: undefined, scale: resize(state.current, state.wanted) }
}

function resize(set: ReplicaSet, replicas: number): Sizes['scale'] {
  return sizeOf(set) === replicas ? [] : [{ set, replicas }]
}

/** Numbers or percentages; surge rounds up and unavailable down, and they are never both zero. */
export function rollingLimits(
  deployment: Deployment,
  wanted: number,
): { maxSurge: number; maxUnavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {}
  const surge = absolute(maxSurge, wanted, Math.ceil)
  const unavailable = absolute(maxUnavailable, wanted, Math.floor)
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable }
}

function absolute(value: number | string, total: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value
  const percentage = Number.parseInt(value, 10) / 100
  return value.endsWith('%') ? round(total * percentage) : Number.parseInt(value, 10)
}

function sizeOfCurrent(state: Rollout, maxSurge: number): number {
  const size = sizeOf(state.current)
  if (size >= state.wanted) return state.wanted
  const total = size + sum(state.old.map(sizeOf))
  const room = Math.max(0, state.wanted + maxSurge - total)
  return size + Math.min(room, state.wanted - size)
}

function shrinkOld(state: Rollout, maxUnavailable: number): Sizes['scale'] {
  const { current, old, wanted } = state
  const minAvailable = wanted - maxUnavailable
  const missing = sizeOf(current) - availableOf(current)
  const total = sizeOf(current) + sum(old.map(sizeOf))
  let removable = total - minAvailable - missing
  const available = availableOf(current) + sum(old.map(availableOf))
  let removableAvailable = available - minAvailable
  const scale: Sizes['scale'] = []
  for (const set of [...old].sort(byAge)) {
    const unhealthy = Math.max(0, Math.min(sizeOf(set) - availableOf(set), removable))
    removable -= unhealthy
    const healthy = Math.max(0, Math.min(sizeOf(set) - unhealthy, removable, removableAvailable))
    removable -= healthy
    removableAvailable -= healthy
    scale.push(...resize(set, sizeOf(set) - unhealthy - healthy))
  }
  return scale
}

function byAge(left: ReplicaSet, right: ReplicaSet): number {
  return revisionOf(left) - revisionOf(right)
}

export function revisionOf(set: ReplicaSet): number {
  return Number.parseInt(set.metadata.annotations?.[revisionAnnotation] ?? '0', 10)
}

function currentRevision(current: ReplicaSet | undefined, old: ReplicaSet[]): number {
  const highest = Math.max(0, ...old.map(revisionOf))
  return Math.max(highest + 1, current === undefined ? 0 : revisionOf(current))
}

function surplusHistory(deployment: Deployment, old: ReplicaSet[]): ReplicaSet[] {
  const empty = old.filter((set) => sizeOf(set) === 0 && (set.status?.replicas ?? 0) === 0).sort(byAge)
  return empty.slice(0, Math.max(0, empty.length - (deployment.spec.revisionHistoryLimit ?? 10)))
}

// === Status ===

function statusOf(state: Rollout, sets: ReplicaSet[], nowMs: number): DeploymentStatus {
  const { deployment, current, wanted } = state
  const total = (pick: (set: ReplicaSet) => number | undefined) => sum(sets.map((set) => pick(set) ?? 0))
  const counts = {
    replicas: total((set) => set.status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total((set) => set.status?.readyReplicas),
    availableReplicas: total((set) => set.status?.availableReplicas),
  }
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...counts,
    unavailableReplicas: Math.max(0, sum(sets.map(sizeOf)) - counts.availableReplicas),
    conditions: conditionsOf(state, counts, wanted, nowMs),
  }
}

type Counts = Required<
  Pick<DeploymentStatus, 'replicas' | 'updatedReplicas' | 'readyReplicas' | 'availableReplicas'>
>

function conditionsOf(state: Rollout, counts: Counts, wanted: number, nowMs: number): Condition[] {
  const { deployment } = state
  const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const { maxUnavailable } = rollingLimits(deployment, wanted)
  const isAvailable = counts.availableReplicas >= wanted - maxUnavailable
  const available = {
    type: 'Available',
    status: isAvailable ? ('True' as const) : ('False' as const),
    reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: isAvailable
      ? 'Deployment has minimum availability.'
      : 'Deployment does not have minimum availability.',
  }
  const conditions = withCondition(deployment.status?.conditions, available, now, { lastUpdateTime: now })
  return withProgress(conditions, state, counts, nowMs)
}

function withProgress(conditions: Condition[], state: Rollout, counts: Counts, nowMs: number): Condition[] {
  const { deployment, current, wanted } = state
  const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const before = findCondition(conditions, 'Progressing')
  const set = current?.metadata.name ?? deployment.metadata.name
  const progress = (status: 'True' | 'False', reason: string, message: string) =>
    withCondition(conditions, { type: 'Progressing', status, reason, message }, now, { lastUpdateTime: now })
  const isComplete =
    current !== undefined &&
    counts.updatedReplicas === wanted &&
    counts.replicas === wanted &&
    counts.availableReplicas === wanted
  if (isComplete) {
    return progress('True', 'NewReplicaSetAvailable', `ReplicaSet "${set}" has successfully progressed.`)
  }
  if (current === undefined) {
    return progress('True', 'NewReplicaSetCreated', `Created new replica set for "${set}"`)
  }
  if (hasMoved(deployment.status, counts) || before?.reason === 'NewReplicaSetAvailable') {
    // Each step restarts the progress deadline, which counts from the last update of this condition.
    const others = conditions.filter((condition) => condition.type !== 'Progressing')
    const moved = { status: 'True' as const, reason: 'ReplicaSetUpdated', lastUpdateTime: now }
    const lastTransitionTime = before?.status === 'True' ? (before.lastTransitionTime ?? now) : now
    const message = `ReplicaSet "${set}" is progressing.`
    return [...others, { type: 'Progressing', ...moved, message, lastTransitionTime }]
  }
  if (lateInMs(deployment, before, nowMs) > 0) return conditions
  return progress('False', 'ProgressDeadlineExceeded', `ReplicaSet "${set}" has timed out progressing.`)
}

function hasMoved(before: DeploymentStatus | undefined, counts: Counts): boolean {
  return (
    counts.updatedReplicas > (before?.updatedReplicas ?? 0) ||
    counts.readyReplicas > (before?.readyReplicas ?? 0) ||
    counts.availableReplicas > (before?.availableReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < (before?.replicas ?? 0) - (before?.updatedReplicas ?? 0)
  )
}

function lateInMs(deployment: Deployment, progressing: Condition | undefined, nowMs: number): number {
  const since = Date.parse(progressing?.lastUpdateTime ?? '') || nowMs
  return since + (deployment.spec.progressDeadlineSeconds ?? 600) * 1000 - nowMs
}

function lateAtMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const progressing = findCondition(status.conditions, 'Progressing')
  const isSettled = progressing?.reason === 'NewReplicaSetAvailable' || progressing?.status === 'False'
  return isSettled ? undefined : Math.max(0, lateInMs(deployment, progressing, nowMs)) + 1000
}
