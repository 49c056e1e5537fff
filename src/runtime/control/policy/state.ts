import { type Index, idOf, Table } from '../cluster/table.ts'
import type { MeshTlsAuthentication, NetworkAuthentication } from './authentication.ts'
import type { AuthorizationPolicy } from './authorization.ts'
import type { EgressNetwork } from './egress-network.ts'
import type { RateLimit } from './rate-limit.ts'
import { parentKeys } from './route/attachment.ts'
import type { GrpcMatch, HttpMatch } from './route/match.ts'
import type { Route } from './route/route.ts'
import type { ServerAuthorization } from './server-authorization.ts'
import type { TrafficSplit } from './traffic-split.ts'

/** The policy resources that were watched. */
export class PolicyState {
  readonly authorizationPolicies = new Table<AuthorizationPolicy>()
  readonly authorizationPoliciesByNamespace: Index<AuthorizationPolicy>
  readonly meshTlsAuthentications = new Table<MeshTlsAuthentication>()
  readonly networkAuthentications = new Table<NetworkAuthentication>()
  readonly serverAuthorizations = new Table<ServerAuthorization>()
  readonly serverAuthorizationsByNamespace: Index<ServerAuthorization>
  readonly rateLimits = new Table<RateLimit>()
  readonly rateLimitsByNamespace: Index<RateLimit>
  readonly egressNetworks = new Table<EgressNetwork>()
  readonly egressNetworksByNamespace: Index<EgressNetwork>
  /** Of both groups; see {@link routeId}. */
  readonly httpRoutes = new Table<Route<HttpMatch>>()
  /** By kind, namespace and name of a parent; see `parentKey`. */
  readonly httpRoutesByParent: Index<Route<HttpMatch>>
  readonly grpcRoutes = new Table<Route<GrpcMatch>>()
  readonly grpcRoutesByParent: Index<Route<GrpcMatch>>
  readonly trafficSplits = new Table<TrafficSplit>()
  /** By namespace and name of the Service that is split. */
  readonly trafficSplitsByService: Index<TrafficSplit>

  constructor() {
    this.authorizationPoliciesByNamespace = this.authorizationPolicies.index((policy) => [policy.namespace])
    this.serverAuthorizationsByNamespace = this.serverAuthorizations.index(({ namespace }) => [namespace])
    this.rateLimitsByNamespace = this.rateLimits.index(({ namespace }) => [namespace])
    this.egressNetworksByNamespace = this.egressNetworks.index(({ namespace }) => [namespace])
    this.httpRoutesByParent = this.httpRoutes.index(parentKeys)
    this.grpcRoutesByParent = this.grpcRoutes.index(parentKeys)
    this.trafficSplitsByService = this.trafficSplits.index(({ namespace, service }) => [
      idOf(namespace, service),
    ])
  }
}

/** The id of a route: two groups have a kind HTTPRoute. */
export function routeId(group: string, id: string): string {
  return `${group}/${id}`
}
