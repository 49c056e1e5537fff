import type { MessageInitShape } from '@bufbuild/protobuf'
import type {
  BackendSchema,
  GrpcRouteSchema,
  HttpRouteSchema,
  OpaqueRouteSchema,
} from '../../proto/gen/io/linkerd/proxy/outbound_pb.js'
import { ipToWire, parseIp } from '../cluster/ip.ts'
import { durationToWire } from './duration-wire.ts'
import { grpcFilter, outboundHttpFilter } from './filter-wire.ts'
import { grpcMatch, hostMatch, httpMatch } from './match-wire.ts'
import { metaToWire } from './meta.ts'
import type {
  Backend,
  Distribution,
  OpaqueRoute,
  OutboundGrpcRoute,
  OutboundHttpRoute,
  RouteBackend,
} from './outbound-policy.ts'
import type { LoadBias } from './route/failure-accrual.ts'
import type { Filter } from './route/filter.ts'
import type { GrpcRetry, HttpRetry, Timeouts } from './route/settings.ts'

/** Requests that wait for an endpoint, and how long until they are refused at once. */
const queue = { capacity: 100, failfastTimeout: { seconds: 3n } }
/** What an endpoint is thought to take before it was tried, and how fast measurements are forgotten. */
const ewma = { defaultRtt: { nanos: 30_000_000 }, decay: { seconds: 10n } }
const retryBackoff = {
  minBackoff: { nanos: 25_000_000 },
  maxBackoff: { nanos: 250_000_000 },
  jitterRatio: 1,
}
/** Requests with a longer body are not tried again. */
const maxRetriedBytes = 64 * 1024

export function httpRouteToWire(
  route: OutboundHttpRoute,
  bias: LoadBias | undefined,
): MessageInitShape<typeof HttpRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    hosts: route.hosts.map(hostMatch),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(httpMatch),
      filters: rule.filters.map(outboundHttpFilter),
      backends: distribution(rule.backends, (each) => httpBackend(each, bias)),
      ...(rule.timeouts === undefined ? {} : { timeouts: timeouts(rule.timeouts) }),
      ...(rule.retry === undefined ? {} : { retry: httpRetry(rule.retry) }),
    })),
  }
}

export function grpcRouteToWire(
  route: OutboundGrpcRoute,
  bias: LoadBias | undefined,
): MessageInitShape<typeof GrpcRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    hosts: route.hosts.map(hostMatch),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(grpcMatch),
      filters: rule.filters.flatMap(grpcFilter),
      backends: distribution(rule.backends, (each) => grpcBackend(each, bias)),
      ...(rule.timeouts === undefined ? {} : { timeouts: timeouts(rule.timeouts) }),
      ...(rule.retry === undefined ? {} : { retry: grpcRetry(rule.retry) }),
    })),
  }
}

export function opaqueRouteToWire(
  route: OpaqueRoute,
  bias: LoadBias | undefined,
): MessageInitShape<typeof OpaqueRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    rules: route.rules.map((rule) => ({
      backends: distribution(rule.backends, (each) => opaqueBackend(each, bias)),
      filters: rule.filters.map(() => ({ kind: { case: 'forbidden' as const, value: {} } })),
    })),
  }
}

/** The shape that the distributions of all kinds of routes share. */
interface DistributionInit<B> {
  kind:
    | { case: 'empty'; value: Record<never, never> }
    | { case: 'firstAvailable'; value: { backends: B[] } }
    | { case: 'randomAvailable'; value: { backends: { weight: number; backend: B }[] } }
}

function distribution<B>(from: Distribution, toBackend: (backend: RouteBackend) => B): DistributionInit<B> {
  switch (from.kind) {
    case 'empty':
      return { kind: { case: 'empty', value: {} } }
    case 'first-available':
      return { kind: { case: 'firstAvailable', value: { backends: from.backends.map(toBackend) } } }
    case 'random-available': {
      const backends = from.backends.map((each) => ({ weight: each.weight, backend: toBackend(each) }))
      return { kind: { case: 'randomAvailable', value: { backends } } }
    }
  }
}

function httpBackend(from: RouteBackend, bias: LoadBias | undefined) {
  return { backend: backend(from.backend, bias), filters: backendFilters(from).map(outboundHttpFilter) }
}

function grpcBackend(from: RouteBackend, bias: LoadBias | undefined) {
  return { backend: backend(from.backend, bias), filters: backendFilters(from).flatMap(grpcFilter) }
}

function opaqueBackend({ backend: from }: RouteBackend, bias: LoadBias | undefined) {
  const invalid = from.kind === 'invalid' ? [{ message: from.message }] : []
  return {
    backend: backend(from, bias),
    filters: invalid.map((value) => ({ kind: { case: 'invalid' as const, value } })),
  }
}

/** A backend that does not exist answers with 500 and says why. */
function backendFilters({ backend: from, filters = [] }: RouteBackend): readonly Filter[] {
  return from.kind === 'invalid' ? [{ kind: 'failure', status: 500, message: from.message }] : filters
}

function backend(from: Backend, bias: LoadBias | undefined): MessageInitShape<typeof BackendSchema> {
  const metadata = metaToWire(from.meta)
  switch (from.kind) {
    case 'balancer': {
      const discovery = { kind: { case: 'dst' as const, value: { path: from.path } } }
      return { metadata, queue, kind: { case: 'balancer', value: { discovery, load: load(bias) } } }
    }
    case 'forward': {
      const ip = parseIp(from.ip)
      const addr = { port: from.port, ...(ip === undefined ? {} : { ip: ipToWire(ip) }) }
      return { metadata, queue, kind: { case: 'forward', value: { addr, weight: 1 } } }
    }
    case 'invalid':
      return { metadata, queue }
  }
}

function load(bias: LoadBias | undefined) {
  if (bias === undefined) return { case: 'peakEwma' as const, value: ewma }
  const value = {
    ...ewma,
    penalty: durationToWire(bias.penaltyMs),
    maxRetryAfter: durationToWire(bias.maxRetryAfterMs),
    penaltyDecay: { seconds: 10n },
  }
  return { case: 'penaltyPeakEwma' as const, value }
}

function timeouts({ requestMs, responseMs, idleMs }: Timeouts) {
  return {
    ...(requestMs === undefined ? {} : { request: durationToWire(requestMs) }),
    ...(responseMs === undefined ? {} : { response: durationToWire(responseMs) }),
    ...(idleMs === undefined ? {} : { idle: durationToWire(idleMs) }),
  }
}

function httpRetry({ limit, timeoutMs, statuses }: HttpRetry) {
  return {
    maxRetries: limit,
    maxRequestBytes: maxRetriedBytes,
    conditions: { statusRanges: statuses.map(({ start, end }) => ({ start, end })) },
    backoff: retryBackoff,
    ...(timeoutMs === undefined ? {} : { timeout: durationToWire(timeoutMs) }),
  }
}

function grpcRetry({ limit, timeoutMs, statuses }: GrpcRetry) {
  return {
    maxRetries: limit,
    maxRequestBytes: maxRetriedBytes,
    conditions: {
      cancelled: statuses.includes('cancelled'),
      deadineExceeded: statuses.includes('deadline-exceeded'),
      internal: statuses.includes('internal'),
      resourceExhausted: statuses.includes('resource-exhausted'),
      unavailable: statuses.includes('unavailable'),
    },
    backoff: retryBackoff,
    ...(timeoutMs === undefined ? {} : { timeout: durationToWire(timeoutMs) }),
  }
}
