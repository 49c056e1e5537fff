import { isServicePortOpaque } from '../cluster/opaque.ts'
import type { Service, ServicePort } from '../cluster/service.ts'
import { type BackendContext, backendsOfParent, serviceMeta } from './backends.ts'
import type { Meta } from './meta.ts'
import type { Distribution, OpaqueRoute, OutboundHttpRoute, OutboundPolicy } from './outbound-policy.ts'
import { outboundGrpcRoute, outboundHttpRoute } from './outbound-route.ts'
import { readFailureAccrual, readLoadBias } from './route/failure-accrual.ts'
import type { GrpcMatch, HttpMatch } from './route/match.ts'
import type { Route } from './route/route.ts'
import { readSettings, type Settings } from './route/settings.ts'
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
  const parent = { backends: backendsOfParent(service, port, attached.split, context), settings }
  const plain = plainRoutes(parent.backends, settings)
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
      : { httpRoutes: http.map((route) => outboundHttpRoute(route, parent, context)) }),
    ...(grpc.length === 0
      ? {}
      : { grpcRoutes: grpc.map((route) => outboundGrpcRoute(route, parent, context)) }),
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
