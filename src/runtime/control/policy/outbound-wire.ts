import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type BackendSchema,
  type HttpRoute_DistributionSchema,
  type HttpRouteSchema,
  type OpaqueRoute_DistributionSchema,
  type OpaqueRouteSchema,
  type OutboundPolicy as OutboundPolicyMessage,
  OutboundPolicySchema,
  type ProxyProtocolSchema,
} from '../../proto/gen/io/linkerd/proxy/outbound_pb.js'
import { ipToWire, parseIp } from '../cluster/ip.ts'
import { httpMatch } from './match-wire.ts'
import { metaToWire } from './meta.ts'
import type { Backend, Distribution, HttpRoute, OpaqueRoute, OutboundPolicy } from './outbound-policy.ts'

const detectTimeout = { seconds: 10n }
/** Requests that wait for an endpoint, and how long until they are refused at once. */
const queue = { capacity: 100, failfastTimeout: { seconds: 3n } }
/** What an endpoint is thought to take before it was tried, and how fast measurements are forgotten. */
const peakEwma = { defaultRtt: { nanos: 30_000_000 }, decay: { seconds: 10n } }

/** A policy as the wire has it. */
export function outboundPolicy(policy: OutboundPolicy): OutboundPolicyMessage {
  return create(OutboundPolicySchema, { metadata: metaToWire(policy.meta), protocol: protocol(policy) })
}

function protocol(policy: OutboundPolicy): MessageInitShape<typeof ProxyProtocolSchema> {
  const http = { routes: policy.httpRoutes.map(httpRoute) }
  const opaque = { routes: policy.opaqueRoutes.map(opaqueRoute) }
  switch (policy.protocol) {
    case 'detect':
      // Receivers refuse a detect without all four.
      return {
        kind: { case: 'detect', value: { timeout: detectTimeout, opaque, http1: http, http2: http } },
      }
    case 'opaque':
      return { kind: { case: 'opaque', value: opaque } }
    case 'http1':
      return { kind: { case: 'http1', value: http } }
    case 'http2':
      return { kind: { case: 'http2', value: http } }
  }
}

function httpRoute(route: HttpRoute): MessageInitShape<typeof HttpRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(httpMatch),
      backends: httpDistribution(rule.backends),
    })),
  }
}

function httpDistribution(distribution: Distribution): MessageInitShape<typeof HttpRoute_DistributionSchema> {
  switch (distribution.kind) {
    case 'empty':
      return { kind: { case: 'empty', value: {} } }
    case 'first-available': {
      const backends = distribution.backends.map((each) => ({ backend: backend(each.backend) }))
      return { kind: { case: 'firstAvailable', value: { backends } } }
    }
    case 'random-available': {
      const backends = distribution.backends.map((each) => ({
        weight: each.weight,
        backend: { backend: backend(each.backend) },
      }))
      return { kind: { case: 'randomAvailable', value: { backends } } }
    }
  }
}

function opaqueRoute(route: OpaqueRoute): MessageInitShape<typeof OpaqueRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    rules: route.rules.map((rule) => ({
      // The messages differ in name only.
      backends: httpDistribution(rule.backends) as MessageInitShape<typeof OpaqueRoute_DistributionSchema>,
      filters: rule.filters.map(() => ({ kind: { case: 'forbidden' as const, value: {} } })),
    })),
  }
}

function backend(from: Backend): MessageInitShape<typeof BackendSchema> {
  const metadata = metaToWire(from.meta)
  switch (from.kind) {
    case 'balancer': {
      const discovery = { kind: { case: 'dst' as const, value: { path: from.path } } }
      const load = { case: 'peakEwma' as const, value: peakEwma }
      return { metadata, queue, kind: { case: 'balancer', value: { discovery, load } } }
    }
    case 'forward': {
      const ip = parseIp(from.ip)
      const addr = { port: from.port, ...(ip === undefined ? {} : { ip: ipToWire(ip) }) }
      return { metadata, queue, kind: { case: 'forward', value: { addr, weight: 1 } } }
    }
  }
}
