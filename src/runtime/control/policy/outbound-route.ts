import { type BackendContext, referencedBackends } from './backends.ts'
import type { Meta } from './meta.ts'
import type { Distribution, OutboundGrpcRoute, OutboundHttpRoute } from './outbound-policy.ts'
import type { GrpcMatch, HttpMatch } from './route/match.ts'
import type { Route, RouteRule } from './route/route.ts'
import type { HttpRetry, Settings, Timeouts } from './route/settings.ts'

/** What a route takes from the Service or network that it is attached to where it says nothing itself. */
export interface Parent {
  backends: Distribution
  settings: Settings
}

/** An HTTPRoute as it acts on the traffic to its parent. */
export function outboundHttpRoute(
  route: Route<HttpMatch>,
  parent: Parent,
  context: BackendContext,
): OutboundHttpRoute {
  const rules = route.rules.map((rule) => {
    const retry = retryOf(rule, rule.retry ?? route.settings.httpRetry ?? parent.settings.httpRetry)
    return {
      ...commonRule(route, rule, parent, context),
      ...(retry === undefined ? {} : { retry }),
    }
  })
  return { meta: routeMeta(route), hosts: route.hosts, rules }
}

/** A GRPCRoute as it acts on the traffic to its parent. */
export function outboundGrpcRoute(
  route: Route<GrpcMatch>,
  parent: Parent,
  context: BackendContext,
): OutboundGrpcRoute {
  const rules = route.rules.map((rule) => {
    const retry = retryOf(rule, route.settings.grpcRetry ?? parent.settings.grpcRetry)
    return {
      ...commonRule(route, rule, parent, context),
      ...(retry === undefined ? {} : { retry }),
    }
  })
  return { meta: routeMeta(route), hosts: route.hosts, rules }
}

function commonRule<M>(route: Route<M>, rule: RouteRule<M>, parent: Parent, context: BackendContext) {
  const timeouts = timeoutsOf(route, rule, parent.settings)
  return {
    matches: rule.matches,
    filters: rule.filters,
    backends:
      rule.backends.length === 0
        ? parent.backends
        : referencedBackends(rule.backends, route.namespace, context),
    ...(timeouts === undefined ? {} : { timeouts }),
  }
}

/** A route with any timeout of its own takes none from its parent. */
function timeoutsOf<M>(route: Route<M>, rule: RouteRule<M>, ofParent: Settings): Timeouts | undefined {
  const { requestTimeoutMs, tryTimeoutMs } = rule
  const own = route.settings.timeouts
  if (own === undefined && requestTimeoutMs === undefined && tryTimeoutMs === undefined)
    return ofParent.timeouts
  // Zero is the way of the Gateway API to say that there is no limit.
  const limits = [own?.requestMs ?? requestTimeoutMs ?? 0, isTriedOnce(route, rule) ? (tryTimeoutMs ?? 0) : 0]
  const requestMs = Math.min(...limits.filter((limitMs) => limitMs > 0))
  const timeouts = { ...own, ...(Number.isFinite(requestMs) ? { requestMs } : {}) }
  return Object.keys(timeouts).length === 0 ? undefined : timeouts
}

/** The only try of a request may take no longer than any try. */
function isTriedOnce<M>(route: Route<M>, rule: RouteRule<M>): boolean {
  const { httpRetry, grpcRetry } = route.settings
  return rule.retry === undefined && httpRetry === undefined && grpcRetry === undefined
}

/** `timeouts.backendRequest` limits each try, unless the retry says so itself. */
function retryOf<R extends Pick<HttpRetry, 'timeoutMs'>>(
  rule: RouteRule<unknown>,
  retry: R | undefined,
): R | undefined {
  if (retry === undefined || retry.timeoutMs !== undefined || !rule.tryTimeoutMs) return retry
  return { ...retry, timeoutMs: rule.tryTimeoutMs }
}

function routeMeta({ group, kind, namespace, name }: Route<unknown>): Meta {
  return { kind: 'resource', group, resourceKind: kind, namespace, name }
}
