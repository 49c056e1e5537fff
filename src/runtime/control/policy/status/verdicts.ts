import type { Observer } from '../../cluster/reactive.ts'
import { idOf } from '../../cluster/table.ts'
import type { EgressNetwork } from '../egress-network.ts'
import { type RateLimit, rateLimitOf } from '../rate-limit.ts'
import { policyGroup, refersTo } from '../reference.ts'
import { judgeBackends, judgeParent, type Verdict, type VerdictContext } from '../route/acceptance.ts'
import { parentKindOf } from '../route/attachment.ts'
import type { Route } from '../route/route.ts'
import type { ParentVerdict } from './conditions.ts'

/** What the status of a route should say of each parent of ours. */
export function routeVerdicts(route: Route<unknown>, context: VerdictContext): readonly ParentVerdict[] {
  const parents = route.parents.filter((parent) => parentKindOf(parent) !== undefined)
  if (parents.length === 0) return []
  const resolvedRefs = judgeBackends(route, context)
  return parents.map((parent) => ({ parent, accepted: judgeParent(route, parent, context), resolvedRefs }))
}

/** Whether a rate limit takes effect. */
export function rateLimitVerdict(limit: RateLimit, { cluster, policies, observer }: VerdictContext): Verdict {
  const { namespace, target } = limit
  const name = target.name ?? ''
  const isServer = refersTo(target, policyGroup, 'Server') && (target.namespace ?? namespace) === namespace
  if (!isServer || !isKnown(cluster.servers.get(idOf(namespace, name), observer))) {
    return { isTrue: false, reason: 'NoMatchingTarget', message: `there is no Server ${namespace}/${name}` }
  }
  const first = rateLimitOf(policies.rateLimitsByNamespace.rows(namespace, observer), name)
  if (first?.name === limit.name) return accepted
  const message = `${first?.name} is older, and limits the same Server`
  return { isTrue: false, reason: 'RateLimitReasonAlreadyExists', message }
}

/** Whether an EgressNetwork takes effect. */
export function egressNetworkVerdict({ problem }: EgressNetwork): Verdict {
  return problem === undefined ? accepted : { isTrue: false, ...problem }
}

const accepted: Verdict = { isTrue: true, reason: 'Accepted', message: '' }

function isKnown(row: unknown): boolean {
  return row !== undefined
}

/** What verdicts are made from, but for who reads them. */
export type VerdictSources = Omit<VerdictContext, 'observer'>

/** A verdict on a row that reads what it needs through the observer. */
export type Judge<R, V> = (row: R, context: VerdictSources & { observer: Observer }) => V
