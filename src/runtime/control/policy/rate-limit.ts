import type { KubeObject } from '../../kube/types.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { byAge } from '../cluster/server.ts'
import { identityOf } from './authentication.ts'
import { policyGroup, type Reference, refersTo } from './reference.ts'

export interface RateLimitObject extends KubeObject {
  spec?: {
    targetRef?: Reference
    total?: { requestsPerSecond?: number }
    identity?: { requestsPerSecond?: number }
    overrides?: { requestsPerSecond?: number; clientRefs?: Reference[] }[]
  }
  status?: unknown
}

/** A HTTPLocalRateLimitPolicy: how many requests each proxy of a Server's pods takes. */
export interface RateLimit {
  namespace: string
  name: string
  createdMs: number
  generation: number
  target: Reference
  /** Requests a second of all clients together. */
  total?: number
  /** Requests a second of each identity. */
  identity?: number
  /** Requests a second of named identities. */
  overrides: readonly { limit: number; identities: readonly string[] }[]
  /** Its status, as text, so that a status that somebody else changed is noticed. */
  ownStatus: string
}

export function readRateLimit(object: RateLimitObject, config: MeshConfig): RateLimit {
  const { metadata, spec = {} } = object
  const namespace = metadata.namespace ?? ''
  const total = spec.total?.requestsPerSecond
  const identity = spec.identity?.requestsPerSecond
  return {
    namespace,
    name: metadata.name,
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    generation: metadata.generation ?? 0,
    target: spec.targetRef ?? {},
    overrides: (spec.overrides ?? []).map(({ requestsPerSecond = 0, clientRefs = [] }) => ({
      limit: requestsPerSecond,
      identities: clientRefs.flatMap((reference) => accountOf(reference, namespace, config) ?? []),
    })),
    ownStatus: JSON.stringify(object.status ?? {}),
    ...(total === undefined ? {} : { total }),
    ...(identity === undefined ? {} : { identity }),
  }
}

/** Limits of its own are for single accounts only. */
function accountOf(reference: Reference, namespace: string, config: MeshConfig): string | undefined {
  return refersTo(reference, '', 'ServiceAccount') ? identityOf(reference, namespace, config) : undefined
}

/** The limit of a Server: the oldest, then the first by name, of those of its namespace that are for it. */
export function rateLimitOf(limits: readonly RateLimit[], server: string): RateLimit | undefined {
  return limits.filter((limit) => limitsServer(limit, server)).sort(byAge)[0]
}

export function limitsServer({ target, namespace }: RateLimit, server: string): boolean {
  const isLocal = target.namespace === undefined || target.namespace === namespace
  return isLocal && refersTo(target, policyGroup, 'Server') && target.name === server
}
