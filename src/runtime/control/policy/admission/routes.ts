import { isDeepStrictEqual } from 'node:util'
import type { MeshConfig } from '../../cluster/config.ts'
import { refersTo } from '../reference.ts'
import { judgeBackends, judgeParent } from '../route/acceptance.ts'
import { parentKindOf } from '../route/attachment.ts'
import { type Route, type RouteObject, readGrpcRoute, readHttpRoute } from '../route/route.ts'
import type { ReviewContext } from './clients.ts'
import type { Findings } from './findings.ts'

/**
 * Reviews a route. What is wrong with a route of the Gateway API is told as a warning only: it may be meant for
 * another controller, which understands it.
 */
export function reviewRoute(
  object: RouteObject,
  group: string,
  kind: 'HTTPRoute' | 'GRPCRoute',
  context: ReviewContext & { config: MeshConfig },
  findings: Findings,
): void {
  const isOurs = group === 'policy.linkerd.io'
  const route = kind === 'GRPCRoute' ? readGrpcRoute(object, group) : readHttpRoute(object, group)
  const parents = route.parents.filter((parent) => parentKindOf(parent) !== undefined)
  if (!isOurs && parents.length === 0) return
  if (route.problem !== undefined) {
    if (isOurs) findings.problems.push(route.problem)
    else findings.warnings.push(route.problem)
  }
  route.parents.forEach((parent, place) => {
    const field = `spec.parentRefs[${place}]`
    const parentKind = parentKindOf(parent)
    if (isOurs && parentKind === undefined) {
      const name = `${parent.kind ?? 'Gateway'} of "${parent.group ?? ''}"`
      findings.refuse(field, `${name} cannot have such routes; Service, Server and EgressNetwork can`)
    }
    if (parentKind === 'EgressNetwork' && parent.port === undefined) {
      findings.refuse(`${field}.port`, 'a route of an EgressNetwork names its port')
    }
  })
  reviewBackends(route, isOurs, findings)
  warnOfWhatIsMissing(route, context, findings)
}

function reviewBackends(route: Route<unknown>, isStrict: boolean, findings: Findings): void {
  route.rules.forEach((rule, ruleIndex) => {
    rule.backends.forEach((backend, index) => {
      const field = `spec.rules[${ruleIndex}].backendRefs[${index}].port`
      const isService = refersTo({ ...backend, kind: backend.kind ?? 'Service' }, '', 'Service')
      if (!isService || backend.port !== undefined) return
      if (isStrict) findings.refuse(field, 'a Service needs its port')
      else findings.warn(field, 'a Service needs its port; requests will be answered with 500')
    })
    const hasWeight = rule.backends.some(({ weight }) => weight > 0)
    if (rule.backends.length > 0 && !hasWeight) {
      findings.warn(
        `spec.rules[${ruleIndex}].backendRefs`,
        'no backend has any weight; requests will be answered with 500',
      )
    }
  })
}

/** What the status would say at this moment. */
function warnOfWhatIsMissing(
  route: Route<unknown>,
  { cluster, policies, config }: ReviewContext & { config: MeshConfig },
  findings: Findings,
): void {
  if (route.problem !== undefined) return
  const context = { cluster, policies, config, observer: { depend: () => {}, invalidate: () => {} } }
  route.parents.forEach((parent, place) => {
    if (parentKindOf(parent) === undefined) return
    const verdict = judgeParent(route, parent, context)
    if (!verdict.isTrue) findings.warn(`spec.parentRefs[${place}]`, verdict.message)
    const twin = route.parents.findIndex((other) => isDeepStrictEqual(other, parent))
    if (twin < place) findings.warn(`spec.parentRefs[${place}]`, `it is the same as spec.parentRefs[${twin}]`)
  })
  const backends = judgeBackends(route, context)
  if (!backends.isTrue) findings.warn('spec.rules', backends.message)
}
