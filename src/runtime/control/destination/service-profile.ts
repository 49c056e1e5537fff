import type { KubeObject } from '../../kube/types.ts'
import { defined } from '../cluster/pod.ts'
import { type PortSet, parsePortSet } from '../cluster/port-set.ts'
import { parseGoDuration } from './go-duration.ts'

/** What requests of a route are like. */
export type RequestCondition =
  | { kind: 'all' | 'any'; conditions: readonly RequestCondition[] }
  | { kind: 'not'; condition: RequestCondition }
  | { kind: 'path'; regex: string }
  | { kind: 'method'; method: string }

/** What responses of a class are like. */
export type ResponseCondition =
  | { kind: 'all' | 'any'; conditions: readonly ResponseCondition[] }
  | { kind: 'not'; condition: ResponseCondition }
  | { kind: 'status'; min: number; max: number }

export interface ProfileRoute {
  name: string
  condition: RequestCondition
  responseClasses: readonly { condition: ResponseCondition; isFailure: boolean }[]
  isRetryable: boolean
  timeoutMs?: number
}

/** A ServiceProfile (`linkerd.io/v1alpha2`): routes of a Service, known by its full name. */
export interface ServiceProfile {
  namespace: string
  /** Full name of the Service, such as `web.shop.svc.cluster.local`. */
  name: string
  routes: readonly ProfileRoute[]
  retryBudget?: { ratio: number; minRetriesPerSecond: number; ttlMs: number }
  /** Weights in thousandths. */
  overrides: readonly { authority: string; weight: number }[]
  opaquePorts?: PortSet
}

interface ConditionSpec {
  pathRegex?: string
  method?: string
  status?: { min?: number; max?: number }
  all?: ConditionSpec[]
  any?: ConditionSpec[]
  /** One condition; its published schema says a list. */
  not?: ConditionSpec | ConditionSpec[]
}

export interface ServiceProfileObject extends KubeObject {
  spec?: {
    routes?: {
      name?: string
      condition?: ConditionSpec
      responseClasses?: { condition?: ConditionSpec; isFailure?: boolean }[]
      isRetryable?: boolean
      timeout?: string
    }[]
    retryBudget?: { retryRatio?: number; minRetriesPerSecond?: number; ttl?: string }
    dstOverrides?: { authority?: string; weight?: string | number }[]
    /** A list; older clients wrote a map whose keys are the ports. */
    opaquePorts?: (string | number)[] | Record<string, unknown>
  }
}

/** Reads a ServiceProfile. A route without a condition that can be read is left out, since it would match nothing. */
export function readServiceProfile(object: ServiceProfileObject): ServiceProfile {
  const { metadata, spec = {} } = object
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    routes: (spec.routes ?? []).flatMap(
      ({ name = '', condition, responseClasses = [], isRetryable, timeout }) => {
        const request = readRequest(condition ?? {})
        if (request === undefined) return []
        return [
          {
            name,
            condition: request,
            isRetryable: isRetryable === true,
            responseClasses: responseClasses.flatMap((each) => {
              const response = readResponse(each.condition ?? {})
              return response === undefined
                ? []
                : [{ condition: response, isFailure: each.isFailure === true }]
            }),
            ...defined('timeoutMs', parseGoDuration(timeout ?? '')),
          },
        ]
      },
    ),
    overrides: (spec.dstOverrides ?? []).flatMap(({ authority, weight }) => {
      const thousandths = readQuantity(weight ?? 0)
      return authority === undefined || thousandths === undefined ? [] : [{ authority, weight: thousandths }]
    }),
    ...defined('retryBudget', readBudget(spec.retryBudget)),
    ...defined('opaquePorts', readOpaquePorts(spec.opaquePorts)),
  }
}

function readBudget(
  budget: NonNullable<ServiceProfileObject['spec']>['retryBudget'],
): ServiceProfile['retryBudget'] {
  const ttlMs = parseGoDuration(budget?.ttl ?? '')
  if (budget === undefined || ttlMs === undefined) return undefined
  const { retryRatio = 0, minRetriesPerSecond = 0 } = budget
  return { ratio: retryRatio, minRetriesPerSecond, ttlMs }
}

function readOpaquePorts(
  ports: (string | number)[] | Record<string, unknown> | undefined,
): PortSet | undefined {
  if (ports === undefined) return undefined
  return parsePortSet((Array.isArray(ports) ? ports : Object.keys(ports)).join(','))
}

/** Several parts of one condition must all hold. */
function readRequest(spec: ConditionSpec): RequestCondition | undefined {
  const parts: RequestCondition[] = []
  if (spec.pathRegex !== undefined) parts.push({ kind: 'path', regex: spec.pathRegex })
  if (spec.method !== undefined) parts.push({ kind: 'method', method: spec.method })
  parts.push(...readCombinations(spec, readRequest))
  return parts.length <= 1 ? parts[0] : { kind: 'all', conditions: parts }
}

function readResponse(spec: ConditionSpec): ResponseCondition | undefined {
  const parts: ResponseCondition[] = []
  const { min, max } = spec.status ?? {}
  if (min !== undefined || max !== undefined) {
    parts.push({ kind: 'status', min: min ?? max ?? 100, max: max ?? min ?? 599 })
  }
  parts.push(...readCombinations(spec, readResponse))
  return parts.length <= 1 ? parts[0] : { kind: 'all', conditions: parts }
}

type Combination<C> = { kind: 'all' | 'any'; conditions: C[] } | { kind: 'not'; condition: C }

function readCombinations<C>(
  spec: ConditionSpec,
  read: (spec: ConditionSpec) => C | undefined,
): Combination<C>[] {
  const combinations: Combination<C>[] = []
  for (const kind of ['all', 'any'] as const) {
    const conditions = (spec[kind] ?? []).flatMap((each) => read(each) ?? [])
    if (conditions.length > 0) combinations.push({ kind, conditions })
  }
  for (const each of [spec.not ?? []].flat()) {
    const condition = read(each)
    if (condition !== undefined) combinations.push({ kind: 'not', condition })
  }
  return combinations
}

/** A Kubernetes quantity, in thousandths. */
function readQuantity(quantity: string | number): number | undefined {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)(m?)$/.exec(String(quantity)) ?? []
  return digits === '' ? undefined : Math.round(Number(digits) * (unit === 'm' ? 1 : 1000))
}
