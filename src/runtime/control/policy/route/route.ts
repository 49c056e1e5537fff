import type { KubeObject } from '../../../kube/types.ts'
import { messageOf } from '../../../shared/errors.ts'
import type { Reference } from '../reference.ts'
import { parseGatewayDuration } from './duration.ts'
import { type Filter, type FilterSpec, readFilter } from './filter.ts'
import {
  type GrpcMatch,
  type GrpcMatchSpec,
  type HostMatch,
  type HttpMatch,
  type HttpMatchSpec,
  readGrpcMatch,
  readHost,
  readHttpMatch,
  UnusableRoute,
} from './match.ts'
import { type HttpRetry, readSettings, type Settings } from './settings.ts'
import { parseStatusRange, type StatusRange } from './status-range.ts'

/** The name that our entries in the status of routes bear. It is Linkerd's. */
export const controllerName = 'linkerd.io/policy-controller'

export type RouteKind = 'HTTPRoute' | 'GRPCRoute'

/** Where a route is attached. */
export interface ParentRef extends Reference {
  port?: number
  sectionName?: string
}

export interface BackendRef extends Reference {
  port?: number
  weight: number
  filters: readonly Filter[]
}

export interface RouteRule<M> {
  /** One of them is enough. */
  matches: readonly M[]
  filters: readonly Filter[]
  backends: readonly BackendRef[]
  /** `timeouts.request`; 0 is "none", and was said. */
  requestTimeoutMs?: number
  /** `timeouts.backendRequest`: one try. */
  tryTimeoutMs?: number
  retry?: HttpRetry
}

/** An HTTPRoute or a GRPCRoute. */
export interface Route<M = HttpMatch | GrpcMatch> {
  group: string
  kind: RouteKind
  namespace: string
  name: string
  createdMs: number
  generation: number
  parents: readonly ParentRef[]
  hosts: readonly HostMatch[]
  rules: readonly RouteRule<M>[]
  settings: Settings
  /** Why it cannot be used as a whole. Its rules are empty then. */
  problem?: string
  /** What its status says of our parents, as text, so that a status that somebody else changed is noticed. */
  ownStatus: string
}

export interface RouteObject extends KubeObject {
  spec?: {
    parentRefs?: ParentRef[]
    hostnames?: string[]
    rules?: RuleSpec[]
  }
  status?: { parents?: { controllerName: string }[] }
}

interface RuleSpec {
  matches?: (HttpMatchSpec & GrpcMatchSpec)[]
  filters?: FilterSpec[]
  backendRefs?: (Reference & { port?: number; weight?: number; filters?: FilterSpec[] })[]
  timeouts?: { request?: string; backendRequest?: string }
  /** Ours, of policy.linkerd.io. */
  retries?: { limit?: number; timeout?: string; conditions?: { status?: (string | number)[] }[] }
  /** Of the Gateway API (GEP-1731). */
  retry?: { codes?: number[]; attempts?: number; backoff?: string }
}

export function readHttpRoute(object: RouteObject, group: string): Route<HttpMatch> {
  const everything: HttpMatch = { path: { kind: 'prefix', value: '/' } }
  return readRoute(object, group, 'HTTPRoute', (spec) => readHttpMatch(spec as HttpMatchSpec), everything)
}

export function readGrpcRoute(object: RouteObject, group: string): Route<GrpcMatch> {
  return readRoute(object, group, 'GRPCRoute', (spec) => readGrpcMatch(spec as GrpcMatchSpec), {})
}

function readRoute<M>(
  object: RouteObject,
  group: string,
  kind: RouteKind,
  readMatch: (spec: HttpMatchSpec | GrpcMatchSpec) => M,
  everything: M,
): Route<M> {
  const { metadata, spec = {} } = object
  const { settings, problems } = readSettings(metadata.annotations ?? {})
  const common = {
    group,
    kind,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    generation: metadata.generation ?? 0,
    parents: (spec.parentRefs ?? []).map((parent) => ({ ...parent })),
    ownStatus: JSON.stringify(
      object.status?.parents?.filter((entry) => entry.controllerName === controllerName) ?? [],
    ),
  }
  const unusable = (problem: string) => ({ ...common, hosts: [], rules: [], settings: {}, problem })
  const [problem] = problems
  if (problem !== undefined) return unusable(`${problem.annotation}: ${problem.reason}`)
  try {
    return {
      ...common,
      settings,
      hosts: readEach('spec.hostnames', spec.hostnames, readHost),
      rules: readEach('spec.rules', spec.rules ?? [{}], (rule) => readRule(rule, readMatch, everything)),
    }
  } catch (error) {
    if (!(error instanceof UnusableRoute)) throw error
    return unusable(messageOf(error))
  }
}

/** Reads a list; what cannot be read is named by its place. */
function readEach<S, T>(field: string, specs: readonly S[] | undefined, read: (spec: S) => T): T[] {
  return (specs ?? []).map((spec, place) => {
    try {
      return read(spec)
    } catch (error) {
      if (!(error instanceof UnusableRoute)) throw error
      const inner = /^[a-zA-Z]+(\[\d+\])?(\.[a-zA-Z]+(\[\d+\])?)*: /.test(error.message) ? '.' : ': '
      throw new UnusableRoute(`${field}[${place}]${inner}${error.message}`)
    }
  })
}

function readRule<M>(
  rule: RuleSpec,
  readMatch: (spec: HttpMatchSpec | GrpcMatchSpec) => M,
  everything: M,
): RouteRule<M> {
  const matches = rule.matches ?? []
  const requestTimeoutMs = readDuration('timeouts.request', rule.timeouts?.request)
  const tryTimeoutMs = readDuration('timeouts.backendRequest', rule.timeouts?.backendRequest)
  const retry = readRetries(rule) ?? readGatewayRetry(rule)
  return {
    matches: matches.length === 0 ? [everything] : readEach('matches', matches, readMatch),
    filters: readEach('filters', rule.filters, readFilter),
    backends: readEach('backendRefs', rule.backendRefs, ({ weight = 1, filters, ...reference }) => ({
      ...reference,
      weight,
      filters: readEach('filters', filters, readFilter),
    })),
    ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
    ...(tryTimeoutMs === undefined ? {} : { tryTimeoutMs }),
    ...(retry === undefined ? {} : { retry }),
  }
}

const anyServerError: StatusRange = { start: 500, end: 599 }

/** The block `retries`; without conditions it means every status from 500 on. */
function readRetries({ retries }: RuleSpec): HttpRetry | undefined {
  if (retries === undefined) return undefined
  const statuses = (retries.conditions ?? [{ status: ['5XX'] }]).flatMap(({ status = [] }) =>
    status.map((text) => {
      const range = parseStatusRange(String(text))
      if (range === undefined)
        throw new UnusableRoute(`retries.conditions: "${text}" is not a status such as 503 or 5XX`)
      return range
    }),
  )
  const timeoutMs = readDuration('retries.timeout', retries.timeout)
  const { limit = 1 } = retries
  return limit === 0 ? undefined : { limit, statuses, ...(timeoutMs ? { timeoutMs } : {}) }
}

function readGatewayRetry({ retry }: RuleSpec): HttpRetry | undefined {
  if (retry === undefined || retry.attempts === 0) return undefined
  const statuses = (retry.codes ?? []).map((code) => ({ start: code, end: code }))
  return { limit: retry.attempts ?? 1, statuses: statuses.length === 0 ? [anyServerError] : statuses }
}

function readDuration(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const durationMs = parseGatewayDuration(text)
  if (durationMs === undefined) throw new UnusableRoute(`${field}: "${text}" is not a duration such as 10s`)
  return durationMs
}
