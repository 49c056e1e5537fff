import type { Pod, ReplicaSet, ReplicaSetStatus } from '../../objects.ts'
import { availableAtMs, isActive, isReady } from '../conditions.ts'

/** What to do about a ReplicaSet. */
export interface ReplicaSetPlan {
  /** How many pods to create. */
  create: number
  remove: Pod[]
  status: ReplicaSetStatus
  /** When a pod that is ready becomes available; look again then. */
  againMs: number | undefined
}

/**
 * Compares the wanted number of pods with those there are.
 * @param pods all pods that the ReplicaSet controls
 */
export function planReplicaSet(set: ReplicaSet, pods: Pod[], nowMs: number): ReplicaSetPlan {
  const active = pods.filter(isActive)
  const wanted = set.metadata.deletionTimestamp === undefined ? (set.spec.replicas ?? 1) : active.length
  const surplus = [...active].sort(byWorth).slice(0, Math.max(0, active.length - wanted))
  const minReadySeconds = set.spec.minReadySeconds ?? 0
  const times = active
    .map((pod) => availableAtMs(pod, minReadySeconds))
    .filter((time): time is number => time !== undefined)
  const later = times.filter((time) => time > nowMs)
  return {
    create: Math.max(0, wanted - active.length),
    remove: surplus,
    status: {
      observedGeneration: set.metadata.generation ?? 0,
      replicas: active.length,
      fullyLabeledReplicas: active.length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: times.length - later.length,
    },
    againMs: later.length === 0 ? undefined : Math.min(...later) - nowMs,
  }
}

/** The pods to lose first come first: without node, pending, not ready, then the youngest. */
function byWorth(left: Pod, right: Pod): number {
  const rank = (pod: Pod) =>
    (pod.spec.nodeName === undefined ? 0 : 4) +
    (pod.status?.phase === 'Running' ? 2 : 0) +
    (isReady(pod) ? 1 : 0)
  if (rank(left) !== rank(right)) return rank(left) - rank(right)
  const born = (pod: Pod) => pod.metadata.creationTimestamp ?? ''
  return born(right).localeCompare(born(left))
}
