import type { Meta } from './meta.ts'
import type { FailureAccrual, LoadBias } from './route/failure-accrual.ts'
import type { Filter } from './route/filter.ts'
import type { GrpcMatch, HostMatch, HttpMatch } from './route/match.ts'
import type { GrpcRetry, HttpRetry, Timeouts } from './route/settings.ts'

/** How the traffic towards a target is treated. */
export interface OutboundPolicy {
  meta: Meta
  protocol: 'detect' | 'opaque' | 'http1' | 'http2' | 'grpc'
  /** For what is, or turns out to be, HTTP. */
  httpRoutes: readonly OutboundHttpRoute[]
  /** For protocol `grpc`. */
  grpcRoutes?: readonly OutboundGrpcRoute[]
  /** For everything else. */
  opaqueRoutes: readonly OpaqueRoute[]
  failureAccrual?: FailureAccrual
  loadBias?: LoadBias
}

/** Where a connection or request may end. */
export type Backend =
  /** The endpoints that discovery gives for a name. */
  | { kind: 'balancer'; meta: Meta; path: string }
  /** One address. */
  | { kind: 'forward'; meta: Meta; ip: string; port: number }
  /** What was named does not exist: requests are answered with 500. */
  | { kind: 'invalid'; meta: Meta; message: string }

export interface RouteBackend {
  backend: Backend
  filters?: readonly Filter[]
}

/** How backends are chosen. */
export type Distribution =
  | { kind: 'empty' }
  | { kind: 'first-available'; backends: readonly RouteBackend[] }
  /** In proportion to their weights. */
  | { kind: 'random-available'; backends: readonly (RouteBackend & { weight: number })[] }

interface OutboundRule<M, R> {
  matches: readonly M[]
  filters: readonly Filter[]
  backends: Distribution
  timeouts?: Timeouts
  retry?: R
}

export interface OutboundHttpRoute {
  meta: Meta
  hosts: readonly HostMatch[]
  rules: readonly OutboundRule<HttpMatch, HttpRetry>[]
}

export interface OutboundGrpcRoute {
  meta: Meta
  hosts: readonly HostMatch[]
  rules: readonly OutboundRule<GrpcMatch, GrpcRetry>[]
}

export interface OpaqueRoute {
  meta: Meta
  rules: readonly { backends: Distribution; filters: readonly { kind: 'forbidden' }[] }[]
}
