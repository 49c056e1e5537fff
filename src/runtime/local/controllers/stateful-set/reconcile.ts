import type { Pod, StatefulSet, StatefulSetStatus } from '../../objects.ts'
import { availableAtMs, hasEnded, isReady } from '../conditions.ts'
import { templateHash } from '../template-hash.ts'

/** On each pod: the version of the template that it was made from. */
export const revisionLabel = 'controller-revision-hash'
export const podNameLabel = 'statefulset.kubernetes.io/pod-name'

/** What to do about a StatefulSet. */
export interface StatefulSetPlan {
  /** Ordinals of pods to create. */
  create: number[]
  remove: Pod[]
  /** `NAME-HASH` of the present template. */
  revision: string
  status: StatefulSetStatus
  /** When a pod that is ready becomes available. */
  againMs: number | undefined
}

/** The number in a pod's name, or -1. */
export function ordinalOf(set: StatefulSet, pod: Pod): number {
  const suffix = pod.metadata.name.slice(set.metadata.name.length + 1)
  return pod.metadata.name.startsWith(`${set.metadata.name}-`) && /^\d+$/.test(suffix) ? Number(suffix) : -1
}

/**
 * Compares a StatefulSet with its pods. With `OrderedReady` one pod changes at a time, and only when all before it are
 * ready; pods of an old template are replaced from the last to the first.
 * @param pods all pods that the StatefulSet controls
 */
export function planStatefulSet(set: StatefulSet, pods: Pod[], nowMs: number): StatefulSetPlan {
  const wanted = set.spec.replicas ?? 1
  const revision = `${set.metadata.name}-${templateHash(set.spec.template)}`
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]))
  const sizing = { set, wanted, revision, byOrdinal }
  const steps = set.spec.podManagementPolicy === 'Parallel' ? planParallel(sizing) : planOrdered(sizing)
  const { status, againMs } = statusOf(sizing, pods, nowMs)
  return { ...steps, revision, status, againMs }
}

interface Sizing {
  set: StatefulSet
  wanted: number
  revision: string
  byOrdinal: Map<number, Pod>
}

type Steps = Pick<StatefulSetPlan, 'create' | 'remove'>

const isDeleted = (pod: Pod) => pod.metadata.deletionTimestamp !== undefined

function planOrdered(sizing: Sizing): Steps {
  const { wanted, byOrdinal } = sizing
  for (let ordinal = 0; ordinal < wanted; ordinal++) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined) return { create: [ordinal], remove: [] }
    if (hasEnded(pod) && !isDeleted(pod)) return { create: [], remove: [pod] }
    if (isDeleted(pod) || !isReady(pod)) return { create: [], remove: outdatedStuck(sizing, pod) }
  }
  const beyond = surplus(sizing)
  if (beyond.length > 0) return { create: [], remove: beyond.some(isDeleted) ? [] : beyond.slice(0, 1) }
  return { create: [], remove: outdated(sizing).slice(0, 1) }
}

/** A pod that never became ready must not keep a better template from being tried. */
function outdatedStuck(sizing: Sizing, pod: Pod): Pod[] {
  return !isDeleted(pod) && outdated(sizing).includes(pod) ? [pod] : []
}

function planParallel(sizing: Sizing): Steps {
  const { wanted, byOrdinal } = sizing
  const create = Array.from({ length: wanted }, (_, ordinal) => ordinal).filter(
    (ordinal) => !byOrdinal.has(ordinal),
  )
  const ended = [...byOrdinal.values()].filter((pod) => hasEnded(pod) && !isDeleted(pod))
  const gone = [...surplus(sizing).filter((pod) => !isDeleted(pod)), ...ended]
  if (gone.length > 0 || create.length > 0) return { create, remove: gone }
  const isSettled = [...byOrdinal.values()].every((pod) => isReady(pod) && !isDeleted(pod))
  return { create, remove: isSettled ? outdated(sizing).slice(0, 1) : [] }
}

/** Pods beyond the wanted number, the last first. */
function surplus({ wanted, byOrdinal }: Sizing): Pod[] {
  const ordinals = [...byOrdinal.keys()].filter((ordinal) => ordinal >= wanted || ordinal < 0)
  return ordinals.sort((left, right) => right - left).flatMap((ordinal) => byOrdinal.get(ordinal) ?? [])
}

/** Pods of an old template that may be replaced, the last first. */
function outdated({ set, wanted, revision, byOrdinal }: Sizing): Pod[] {
  if (set.spec.updateStrategy?.type === 'OnDelete') return []
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0
  const ordinals = Array.from({ length: Math.max(0, wanted - partition) }, (_, index) => wanted - 1 - index)
  return ordinals
    .flatMap((ordinal) => byOrdinal.get(ordinal) ?? [])
    .filter((pod) => pod.metadata.labels?.[revisionLabel] !== revision)
}

function statusOf(
  { set, revision }: Sizing,
  pods: Pod[],
  nowMs: number,
): { status: StatefulSetStatus; againMs: number | undefined } {
  const times = pods
    .map((pod) => availableAtMs(pod, set.spec.minReadySeconds ?? 0))
    .filter((time): time is number => time !== undefined)
  const later = times.filter((time) => time > nowMs)
  const updated = pods.filter((pod) => pod.metadata.labels?.[revisionLabel] === revision).length
  const isUpdated = updated === pods.length
  const current = isUpdated ? revision : (set.status?.currentRevision ?? revision)
  const status: StatefulSetStatus = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: pods.filter(isReady).length,
    availableReplicas: times.length - later.length,
    currentReplicas: pods.filter((pod) => pod.metadata.labels?.[revisionLabel] === current).length,
    updatedReplicas: updated,
    currentRevision: current,
    updateRevision: revision,
  }
  return { status, againMs: later.length === 0 ? undefined : Math.min(...later) - nowMs }
}
