import { isServicePortOpaque } from '../cluster/opaque.ts'
import type { Service, ServicePort } from '../cluster/service.ts'
import { type BackendContext, backendsOfParent, referencedBackends, serviceMeta } from './backends.ts'
import type { Meta } from './meta.ts'
import type {
  Distribution,
  OpaqueRoute,
  OutboundGrpcRoute,
  OutboundHttpRoute,
  OutboundPolicy,
} from './outbound-policy.ts'
import { readFailureAccrual, readLoadBias } from './route/failure-accrual.ts'
import type { GrpcMatch, HttpMatch } from './route/match.ts'
import type { Route, RouteRule } from './route/route.ts'
import { type HttpRetry, readSettings, type Settings, type Timeouts } from './route/settings.ts'
import type { TrafficSplit } from './traffic-split.ts'

/** What is attached to a Service's port, most important first. */
export interface Attached {
  http: readonly Route<HttpMatch>[]
  grpc: readonly Route<GrpcMatch>[]
  split?: TrafficSplit
}

/** The policy towards a Service's port. */
export function servicePolicy(
  service: Service,
  port: number,
  attached: Attached,
  context: BackendContext,
): OutboundPolicy {
  const meta = serviceMeta(service, port)
  const declared = service.ports.find(({ number }) => number === port)
  if (declared === undefined && !service.isHeadless) return forbidden(meta)
  const { settings } = readSettings(service.annotations)
  const parent = backendsOfParent(service, port, attached.split, context)
  const plain = plainRoutes(parent, settings)
  const { http, grpc } = attached
  const { accrual } = readFailureAccrual(service.annotations)
  const { bias } = readLoadBias(service.annotations)
  const isOpaque = isServicePortOpaque(service, port, context.config.defaultOpaquePorts)
  return {
    meta,
    protocol: servicePortProtocol(declared, isOpaque, grpc.length > 0),
    ...plain,
    ...(http.length === 0
      ? {}
      : { httpRoutes: http.map((route) => httpRoute(route, parent, settings, context)) }),
    ...(grpc.length === 0
      ? {}
      : { grpcRoutes: grpc.map((route) => grpcRoute(route, parent, settings, context)) }),
    ...(accrual === undefined ? {} : { failureAccrual: accrual }),
    ...(bias === undefined ? {} : { loadBias: bias }),
  }
}

/** `appProtocol` decides before the opaque ports do; one that is not known is not looked into. */
function servicePortProtocol(
  port: ServicePort | undefined,
  isOpaque: boolean,
  hasGrpcRoutes: boolean,
): OutboundPolicy['protocol'] {
  switch (port?.appProtocol) {
    case undefined:
      if (isOpaque) return 'opaque'
      return hasGrpcRoutes ? 'grpc' : 'detect'
    case 'http':
      return 'http1'
    case 'kubernetes.io/h2c':
      return hasGrpcRoutes ? 'grpc' : 'http2'
    default:
      return 'opaque'
  }
}

/** A port that the Service does not have. */
function forbidden(meta: Meta): OutboundPolicy {
  const route: OpaqueRoute = {
    meta: { kind: 'default', name: 'opaq' },
    rules: [{ backends: { kind: 'empty' }, filters: [{ kind: 'forbidden' }] }],
  }
  return { meta, protocol: 'opaque', httpRoutes: [], opaqueRoutes: [route] }
}

/** The routes of a target to which none is attached. */
export function plainRoutes(
  backends: Distribution,
  settings: Settings,
): { httpRoutes: OutboundHttpRoute[]; opaqueRoutes: OpaqueRoute[] } {
  const { timeouts, httpRetry } = settings
  return {
    httpRoutes: [
      {
        meta: { kind: 'default', name: 'http' },
        hosts: [],
        rules: [
          {
            matches: [{ path: { kind: 'prefix', value: '/' } }],
            filters: [],
            backends,
            ...(timeouts === undefined ? {} : { timeouts }),
            ...(httpRetry === undefined ? {} : { retry: httpRetry }),
          },
        ],
      },
    ],
    opaqueRoutes: [{ meta: { kind: 'default', name: 'opaq' }, rules: [{ backends, filters: [] }] }],
  }
}

function httpRoute(
  route: Route<HttpMatch>,
  parent: Distribution,
  ofParent: Settings,
  context: BackendContext,
): OutboundHttpRoute {
  const rules = route.rules.map((rule) => {
    const retry = retryOf(rule, rule.retry ?? route.settings.httpRetry ?? ofParent.httpRetry)
    return {
      ...commonRule(route, rule, parent, ofParent, context),
      ...(retry === undefined ? {} : { retry }),
    }
  })
  return { meta: routeMeta(route), hosts: route.hosts, rules }
}

function grpcRoute(
  route: Route<GrpcMatch>,
  parent: Distribution,
  ofParent: Settings,
  context: BackendContext,
): OutboundGrpcRoute {
  const rules = route.rules.map((rule) => {
    const retry = retryOf(rule, route.settings.grpcRetry ?? ofParent.grpcRetry)
    return {
      ...commonRule(route, rule, parent, ofParent, context),
      ...(retry === undefined ? {} : { retry }),
    }
  })
  return { meta: routeMeta(route), hosts: route.hosts, rules }
}

function commonRule<M>(
  route: Route<M>,
  rule: RouteRule<M>,
  parent: Distribution,
  ofParent: Settings,
  context: BackendContext,
) {
  const timeouts = timeoutsOf(route, rule, ofParent)
  return {
    matches: rule.matches,
    filters: rule.filters,
    backends:
      rule.backends.length === 0 ? parent : referencedBackends(rule.backends, route.namespace, context),
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
