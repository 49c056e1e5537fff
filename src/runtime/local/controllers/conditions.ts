import type { Condition, Pod } from '../objects.ts'

/** A condition of an object's status, if it has it. */
export function findCondition(conditions: Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/**
 * Sets one condition in a list. The time of the last transition stays when the status does not change.
 * @param now RFC 3339
 * @param times more fields of a condition that changes
 */
export function withCondition(
  conditions: Condition[] | undefined,
  next: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>,
  now: string,
  times: Pick<Condition, 'lastUpdateTime'> = {},
): Condition[] {
  const before = findCondition(conditions, next.type)
  const isSame =
    before?.status === next.status && before.reason === next.reason && before.message === next.message
  if (isSame) return conditions ?? []
  const lastTransitionTime = before?.status === next.status ? (before.lastTransitionTime ?? now) : now
  const others = (conditions ?? []).filter((condition) => condition.type !== next.type)
  return [...others, { ...next, ...times, lastTransitionTime }]
}

export function isReady(pod: Pod): boolean {
  return findCondition(pod.status?.conditions, 'Ready')?.status === 'True'
}

/** Whether the pod has ended, for good or for bad. */
export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** Not ended and not being deleted. */
export function isActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !hasEnded(pod)
}

/**
 * When a pod counts as available: milliseconds since the epoch, or undefined while it is not ready.
 * @param minReadySeconds how long it must have been ready
 */
export function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = findCondition(pod.status?.conditions, 'Ready')
  if (ready?.status !== 'True') return undefined
  const since = ready.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime)
  return since + minReadySeconds * 1000
}
