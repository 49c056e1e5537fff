import { resources } from '../../kube/resources.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { keepKnownKinds } from '../cluster/crd-loss.ts'
import { type WatchDeps, watchKind } from '../cluster/watch.ts'
import { readMeshTlsAuthentication, readNetworkAuthentication } from './authentication.ts'
import { readAuthorizationPolicy } from './authorization.ts'
import { readEgressNetwork } from './egress-network.ts'
import { readRateLimit } from './rate-limit.ts'
import { type RouteObject, readGrpcRoute, readHttpRoute } from './route/route.ts'
import { readServerAuthorization } from './server-authorization.ts'
import { type PolicyState, routeId } from './state.ts'
import { readTrafficSplit } from './traffic-split.ts'

/**
 * Watches every kind of policy resource.
 * @returns settles when each was listed once; kinds that the cluster does not have count as empty
 */
export function watchPolicies(state: PolicyState, config: MeshConfig, deps: WatchDeps): Promise<void> {
  const custom = { ...deps, kube: keepKnownKinds(deps.kube) }
  return Promise.all([
    watchKind(resources.authorizationPolicies, readAuthorizationPolicy, state.authorizationPolicies, custom),
    watchKind(
      resources.meshTLSAuthentications,
      (object) => readMeshTlsAuthentication(object, config),
      state.meshTlsAuthentications,
      custom,
    ),
    watchKind(
      resources.networkAuthentications,
      readNetworkAuthentication,
      state.networkAuthentications,
      custom,
    ),
    watchKind(
      resources.serverAuthorizations,
      (object) => readServerAuthorization(object, config),
      state.serverAuthorizations,
      custom,
    ),
    watchKind(
      resources.httpLocalRateLimitPolicies,
      (object) => readRateLimit(object, config),
      state.rateLimits,
      custom,
    ),
    watchKind(
      resources.egressNetworks,
      (object) => readEgressNetwork(object, config),
      state.egressNetworks,
      custom,
    ),
    ...[resources.policyHttpRoutes, resources.gatewayHttpRoutes].map((resource) =>
      watchKind(
        resource,
        (object: RouteObject) => readHttpRoute(object, resource.group),
        { set: (id, row) => state.httpRoutes.set(routeId(resource.group, id), row) },
        custom,
      ),
    ),
    watchKind(
      resources.gatewayGrpcRoutes,
      (object: RouteObject) => readGrpcRoute(object, resources.gatewayGrpcRoutes.group),
      { set: (id, row) => state.grpcRoutes.set(routeId(resources.gatewayGrpcRoutes.group, id), row) },
      custom,
    ),
    watchKind(resources.trafficSplits, readTrafficSplit, state.trafficSplits, custom),
  ]).then(() => {})
}
