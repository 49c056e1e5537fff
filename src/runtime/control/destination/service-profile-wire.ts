import type { MessageInitShape } from '@bufbuild/protobuf'
import type {
  RequestMatchSchema,
  ResponseMatchSchema,
  RouteSchema,
} from '../../proto/gen/io/linkerd/proxy/destination_pb.js'
import { HttpMethod_Registered } from '../../proto/gen/io/linkerd/proxy/http_types_pb.js'
import { parseServiceAuthority } from '../cluster/authority.ts'
import type { ProfileRoute, RequestCondition, ResponseCondition, ServiceProfile } from './service-profile.ts'

const defaultRetryBudget = { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: { seconds: 10n } }

/** What a ServiceProfile adds to the profile of a Service; without one, the defaults. */
export function profileParts(profile: ServiceProfile | undefined, port: number, clusterDomain: string) {
  if (profile === undefined) return { retryBudget: defaultRetryBudget }
  const { namespace, name, retryBudget: budget } = profile
  const retryBudget =
    budget === undefined
      ? defaultRetryBudget
      : {
          retryRatio: budget.ratio,
          minRetriesPerSecond: budget.minRetriesPerSecond,
          ttl: duration(budget.ttlMs),
        }
  const value = { group: 'linkerd.io', kind: 'ServiceProfile', namespace, name, port: 0 }
  return {
    retryBudget,
    routes: profile.routes.map(route),
    dstOverrides: profile.overrides.map((override) => ({
      authority: withPort(override.authority, port),
      // Ten thousand is one share, as in the weights of endpoints.
      weight: override.weight * 10,
      ...backendRef(override.authority, port, clusterDomain),
    })),
    profileRef: { kind: { case: 'resource' as const, value } },
  }
}

function withPort(authority: string, port: number): string {
  return /:\d+$/.test(authority) ? authority : `${authority}:${port}`
}

function backendRef(authority: string, port: number, clusterDomain: string) {
  const service = parseServiceAuthority(withPort(authority, port), clusterDomain)
  if (service.kind === 'malformed') return {}
  const { namespace, name } = service
  const value = { group: 'core', kind: 'Service', namespace, name, port: service.port }
  return { backendRef: { kind: { case: 'resource' as const, value } } }
}

function route(from: ProfileRoute): MessageInitShape<typeof RouteSchema> {
  return {
    condition: requestMatch(from.condition),
    responseClasses: from.responseClasses.map(({ condition, isFailure }) => ({
      condition: responseMatch(condition),
      isFailure,
    })),
    metricsLabels: { route: from.name },
    isRetryable: from.isRetryable,
    ...(from.timeoutMs === undefined ? {} : { timeout: duration(from.timeoutMs) }),
  }
}

function requestMatch(condition: RequestCondition): MessageInitShape<typeof RequestMatchSchema> {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return { match: { case: condition.kind, value: { matches: condition.conditions.map(requestMatch) } } }
    case 'not':
      return { match: { case: 'not', value: requestMatch(condition.condition) } }
    case 'path':
      return { match: { case: 'path', value: { regex: condition.regex } } }
    case 'method':
      return { match: { case: 'method', value: { type: method(condition.method) } } }
  }
}

function responseMatch(condition: ResponseCondition): MessageInitShape<typeof ResponseMatchSchema> {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return { match: { case: condition.kind, value: { matches: condition.conditions.map(responseMatch) } } }
    case 'not':
      return { match: { case: 'not', value: responseMatch(condition.condition) } }
    case 'status':
      return { match: { case: 'status', value: { min: condition.min, max: condition.max } } }
  }
}

function method(name: string) {
  const upper = name.toUpperCase()
  const registered = (HttpMethod_Registered as unknown as Record<string, number | undefined>)[upper]
  return registered === undefined
    ? { case: 'unregistered' as const, value: upper }
    : { case: 'registered' as const, value: registered }
}

function duration(durationMs: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(durationMs / 1000)
  return { seconds: BigInt(seconds), nanos: Math.round((durationMs - seconds * 1000) * 1_000_000) }
}
