import type { DaemonSet, DaemonSetStatus, Pod } from '../../objects.ts'
import { availableAtMs, isActive, isReady } from '../conditions.ts'
import { templateHash } from '../template-hash.ts'

/** On each pod: the version of the template that it was made from. */
export const revisionLabel = 'controller-revision-hash'

/** What to do about a DaemonSet. */
export interface DaemonSetPlan {
  create: boolean
  remove: Pod[]
  revision: string
  status: DaemonSetStatus
  againMs: number | undefined
}

/**
 * Compares a DaemonSet with its pods: one is wanted, since there is one node. A pod of an old template is removed
 * before the new one is created.
 * @param canRun whether the node is one of those that the template asks for
 */
export function planDaemonSet(set: DaemonSet, pods: Pod[], canRun: boolean, nowMs: number): DaemonSetPlan {
  const revision = templateHash(set.spec.template)
  const isCurrent = (pod: Pod) => pod.metadata.labels?.[revisionLabel] === revision
  const present = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined)
  const isRolling = set.spec.updateStrategy?.type !== 'OnDelete'
  const [kept] = present.filter((pod) => canRun && isActive(pod) && (isCurrent(pod) || !isRolling))
  const availableMs = kept && availableAtMs(kept, set.spec.minReadySeconds ?? 0)
  const isAvailable = availableMs !== undefined && availableMs <= nowMs
  const desired = canRun ? 1 : 0
  return {
    // The one before must be gone: both may want the same ports of the node.
    create: canRun && pods.length === 0,
    remove: present.filter((pod) => pod !== kept),
    revision,
    status: {
      observedGeneration: set.metadata.generation ?? 0,
      currentNumberScheduled: kept === undefined ? 0 : 1,
      desiredNumberScheduled: desired,
      numberMisscheduled: 0,
      numberReady: kept !== undefined && isReady(kept) ? 1 : 0,
      numberAvailable: isAvailable ? 1 : 0,
      numberUnavailable: desired - (isAvailable ? 1 : 0),
      updatedNumberScheduled: kept !== undefined && isCurrent(kept) ? 1 : 0,
    },
    againMs: availableMs !== undefined && !isAvailable ? availableMs - nowMs : undefined,
  }
}
