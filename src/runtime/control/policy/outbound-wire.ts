import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type FailureAccrualSchema,
  type OutboundPolicy as OutboundPolicyMessage,
  OutboundPolicySchema,
  type ProxyProtocolSchema,
} from '../../proto/gen/io/linkerd/proxy/outbound_pb.js'
import { durationToWire } from './duration-wire.ts'
import { metaToWire } from './meta.ts'
import type { OutboundPolicy } from './outbound-policy.ts'
import { grpcRouteToWire, httpRouteToWire, opaqueRouteToWire } from './outbound-route-wire.ts'
import type { FailureAccrual } from './route/failure-accrual.ts'

const detectTimeout = { seconds: 10n }

/** A policy as the wire has it. */
export function outboundPolicy(policy: OutboundPolicy): OutboundPolicyMessage {
  return create(OutboundPolicySchema, { metadata: metaToWire(policy.meta), protocol: protocol(policy) })
}

function protocol(policy: OutboundPolicy): MessageInitShape<typeof ProxyProtocolSchema> {
  const { httpRoutes, grpcRoutes = [], opaqueRoutes, failureAccrual: accrual, loadBias } = policy
  const failureAccrual = accrual === undefined ? {} : { failureAccrual: accrualToWire(accrual) }
  const http = () => ({
    routes: httpRoutes.map((route) => httpRouteToWire(route, loadBias)),
    ...failureAccrual,
  })
  const opaque = () => ({ routes: opaqueRoutes.map((route) => opaqueRouteToWire(route, loadBias)) })
  switch (policy.protocol) {
    case 'detect': {
      // Receivers refuse a detect without all four.
      const value = { timeout: detectTimeout, opaque: opaque(), http1: http(), http2: http() }
      return { kind: { case: 'detect', value } }
    }
    case 'opaque':
      return { kind: { case: 'opaque', value: opaque() } }
    case 'http1':
      return { kind: { case: 'http1', value: http() } }
    case 'http2':
      return { kind: { case: 'http2', value: http() } }
    case 'grpc': {
      const routes = grpcRoutes.map((route) => grpcRouteToWire(route, loadBias))
      return { kind: { case: 'grpc', value: { routes, ...failureAccrual } } }
    }
  }
}

function accrualToWire(accrual: FailureAccrual): MessageInitShape<typeof FailureAccrualSchema> {
  const backoff = {
    minBackoff: durationToWire(accrual.minPenaltyMs),
    maxBackoff: durationToWire(accrual.maxPenaltyMs),
    jitterRatio: accrual.jitterRatio,
    respectRetryAfterHint: accrual.doesHonorRetryAfter,
  }
  const { successRate, maxFailures } = accrual
  if (successRate === undefined) {
    return { kind: { case: 'consecutiveFailures', value: { maxFailures, backoff } } }
  }
  const value = {
    successRateThreshold: successRate.threshold,
    decay: durationToWire(successRate.windowMs),
    minRequests: successRate.minRequests,
    maxConsecutiveFailures: maxFailures,
    backoff,
  }
  return { kind: { case: 'unified', value } }
}
