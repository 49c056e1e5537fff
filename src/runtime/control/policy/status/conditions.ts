import type { Verdict } from '../route/acceptance.ts'
import { controllerName, type ParentRef } from '../route/route.ts'

/** `metav1.Condition`. */
export interface Condition {
  type: string
  status: string
  reason: string
  message: string
  observedGeneration?: number
  lastTransitionTime: string
}

/** An entry of `status.parents` (Gateway API, RouteParentStatus). */
export interface ParentStatus {
  controllerName: string
  parentRef: ParentRef
  conditions?: Condition[]
}

/** What the status should say of one parent. */
export interface ParentVerdict {
  parent: ParentRef
  accepted: Verdict
  resolvedRefs: Verdict
}

/**
 * The whole of `status.parents`: the entries of others as they are, ours as they should be. A condition that says
 * what it said before keeps its time.
 */
export function parentStatuses(
  current: readonly ParentStatus[],
  verdicts: readonly ParentVerdict[],
  generation: number,
  now: string,
): ParentStatus[] {
  const others = current.filter((entry) => entry.controllerName !== controllerName)
  const ours = current.filter((entry) => entry.controllerName === controllerName)
  const wanted = verdicts.map(({ parent, accepted, resolvedRefs }) => {
    const former = ours.find((entry) => isSameParent(entry.parentRef, parent))?.conditions ?? []
    const conditions = [
      conditionOf('Accepted', accepted, generation, former, now),
      conditionOf('ResolvedRefs', resolvedRefs, generation, former, now),
    ]
    return { controllerName, parentRef: parent, conditions }
  })
  return [...others, ...wanted]
}

/** A condition; one that says what it said before keeps its time. */
export function conditionOf(
  type: string,
  verdict: Verdict,
  generation: number,
  former: readonly Condition[],
  now: string,
): Condition {
  const status = verdict.isTrue ? 'True' : 'False'
  const before = former.find((each) => each.type === type)
  return {
    type,
    status,
    reason: verdict.reason,
    message: verdict.message,
    ...(generation === 0 ? {} : { observedGeneration: generation }),
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
  }
}

function isSameParent(left: ParentRef, right: ParentRef): boolean {
  const fields = ['group', 'kind', 'namespace', 'name', 'sectionName', 'port'] as const
  return fields.every((field) => left[field] === right[field])
}

/** A status that is a list of conditions; what else is in it stays. */
export function conditionStatus(
  current: { conditions?: Condition[] },
  accepted: Verdict,
  generation: number,
  now: string,
): { conditions: Condition[] } {
  const former = current.conditions ?? []
  const others = former.filter(({ type }) => type !== 'Accepted')
  return { ...current, conditions: [...others, conditionOf('Accepted', accepted, generation, former, now)] }
}
