import type { HttpMatch } from './inbound-route.ts'
import type { Meta } from './meta.ts'

/** How the traffic towards a target is treated. */
export interface OutboundPolicy {
  meta: Meta
  protocol: 'detect' | 'opaque' | 'http1' | 'http2'
  /** For what turns out to be HTTP. */
  httpRoutes: readonly HttpRoute[]
  /** For everything else. */
  opaqueRoutes: readonly OpaqueRoute[]
}

/** Where a connection or request may end. */
export type Backend =
  /** The endpoints that discovery gives for a name. */
  | { kind: 'balancer'; meta: Meta; path: string }
  /** One address. */
  | { kind: 'forward'; meta: Meta; ip: string; port: number }

export interface RouteBackend {
  backend: Backend
}

/** How backends are chosen. */
export type Distribution =
  | { kind: 'empty' }
  | { kind: 'first-available'; backends: readonly RouteBackend[] }
  /** In proportion to their weights. */
  | { kind: 'random-available'; backends: readonly (RouteBackend & { weight: number })[] }

export interface HttpRoute {
  meta: Meta
  rules: readonly { matches: readonly HttpMatch[]; backends: Distribution }[]
}

export interface OpaqueRoute {
  meta: Meta
  rules: readonly { backends: Distribution; filters: readonly { kind: 'forbidden' }[] }[]
}
