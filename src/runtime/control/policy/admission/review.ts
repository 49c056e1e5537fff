import type { KubeObject } from '../../../kube/types.ts'
import type { MeshConfig } from '../../cluster/config.ts'
import type { ClusterState } from '../../cluster/state.ts'
import type { PolicyState } from '../state.ts'
import {
  type ReviewContext,
  reviewAuthorizationPolicy,
  reviewMeshTlsAuthentication,
  reviewNetworkAuthentication,
  reviewServerAuthorization,
} from './clients.ts'
import { Findings, isObject } from './findings.ts'
import { reviewRoute } from './routes.ts'
import { reviewServer } from './server.ts'
import { reviewEgressNetwork, reviewRateLimit, reviewTrafficSplit } from './traffic.ts'

/** The object of an admission request. */
export interface ReviewedObject {
  group: string
  kind: string
  /** Of the request; the object may not say it. */
  namespace: string
  object: unknown
}

export interface ReviewSources {
  cluster: ClusterState
  policies: PolicyState
  config: MeshConfig
}

type Review = (
  object: KubeObject,
  context: ReviewContext & { config: MeshConfig },
  findings: Findings,
) => void

const policy = 'policy.linkerd.io'
const gateway = 'gateway.networking.k8s.io'

/** How each kind is reviewed, by group and kind. */
const reviews: Record<string, Review> = {
  [`${policy}/Server`]: (object, _, findings) => reviewServer(object, findings),
  [`${policy}/AuthorizationPolicy`]: reviewAuthorizationPolicy,
  [`${policy}/MeshTLSAuthentication`]: (object, _, findings) => reviewMeshTlsAuthentication(object, findings),
  [`${policy}/NetworkAuthentication`]: (object, _, findings) => reviewNetworkAuthentication(object, findings),
  [`${policy}/ServerAuthorization`]: (object, _, findings) => reviewServerAuthorization(object, findings),
  [`${policy}/HTTPLocalRateLimitPolicy`]: reviewRateLimit,
  [`${policy}/EgressNetwork`]: (object, { config }, findings) =>
    reviewEgressNetwork(object, config, findings),
  [`${policy}/HTTPRoute`]: (object, context, findings) =>
    reviewRoute(object, policy, 'HTTPRoute', context, findings),
  [`${gateway}/HTTPRoute`]: (object, context, findings) =>
    reviewRoute(object, gateway, 'HTTPRoute', context, findings),
  [`${gateway}/GRPCRoute`]: (object, context, findings) =>
    reviewRoute(object, gateway, 'GRPCRoute', context, findings),
  'split.smi-spec.io/TrafficSplit': reviewTrafficSplit,
}

/** What is wrong, and what is odd, with an object that is about to be stored. An unknown kind is refused. */
export function reviewObject(
  { group, kind, namespace, object }: ReviewedObject,
  sources: ReviewSources,
): Findings {
  const findings = new Findings()
  const review = reviews[`${group}/${kind}`]
  if (review === undefined) {
    findings.refuse('kind', `${kind} of "${group}" is not reviewed here`)
    return findings
  }
  if (!isObject(object) || !isObject(object.metadata) || !isObject(object.spec)) {
    findings.refuse('spec', 'it is missing')
    return findings
  }
  const metadata = { ...object.metadata, name: String(object.metadata.name ?? ''), namespace }
  try {
    review({ ...object, metadata }, { ...sources, namespace }, findings)
  } catch (error) {
    // The CRD's schema lets through only what can be read; without it there is nothing to go by.
    if (!(error instanceof TypeError)) throw error
    findings.refuse('spec', 'it has a field of another type than its schema says')
  }
  return findings
}
