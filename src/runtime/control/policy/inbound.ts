import { isDeepStrictEqual } from 'node:util'
import type { MeshConfig } from '../cluster/config.ts'
import { isPodPortOpaque } from '../cluster/opaque.ts'
import { isMeshed, type Pod } from '../cluster/pod.ts'
import { parsePortSet, portSetHas } from '../cluster/port-set.ts'
import { type Computed, ComputedMap, type Observer } from '../cluster/reactive.ts'
import { type Server, selectServer } from '../cluster/server.ts'
import type { ClusterState } from '../cluster/state.ts'
import { idOf } from '../cluster/table.ts'
import {
  type Authorization,
  type AuthorizationPolicy,
  authenticatedMode,
  authorizationsOfMode,
  type PolicyMode,
  policyMode,
  resolvePolicy,
  targets,
} from './authorization.ts'
import {
  asGrpcRoute,
  asHttpRoute,
  type InboundRoute,
  inboundRoute,
  probeRoutes,
  routeOfEverything,
  routesOfServer,
  unusableRoute,
} from './inbound-route.ts'
import type { Meta } from './meta.ts'
import { type RateLimit, rateLimitOf } from './rate-limit.ts'
import { policyGroup } from './reference.ts'
import { parentKey } from './route/attachment.ts'
import type { GrpcMatch } from './route/match.ts'
import type { Route } from './route/route.ts'
import { authorizesServer } from './server-authorization.ts'
import type { PolicyState } from './state.ts'

/** How the bytes on a port are read. */
export type InboundProtocol = 'detect' | 'opaque' | 'tls' | 'http1' | 'http2' | 'grpc'

/** The policy of one port of one pod. */
export interface InboundPolicy {
  server: Meta
  protocol: InboundProtocol
  /** Whoever satisfies one of them is admitted; with none, nobody is. */
  authorizations: readonly Authorization[]
  /** Requests are judged by the route that they match; one that matches none is refused. */
  httpRoutes: readonly InboundRoute[]
  /** For protocol `grpc`. */
  grpcRoutes: readonly InboundRoute<GrpcMatch>[]
  rateLimit?: RateLimit
}

export interface InboundQuery {
  namespace: string
  pod: string
  port: number
}

/** Policies of ports, kept up to date for as long as somebody reads them. */
export class InboundPolicies {
  readonly #cluster: ClusterState
  readonly #policies: PolicyState
  readonly #config: MeshConfig
  readonly #ports: ComputedMap<InboundQuery, InboundPolicy | undefined>

  constructor(cluster: ClusterState, policies: PolicyState, config: MeshConfig) {
    this.#cluster = cluster
    this.#policies = policies
    this.#config = config
    this.#ports = new ComputedMap((query, observer) => this.#compute(query, observer), isDeepStrictEqual)
  }

  /** Undefined while there is no such pod in this mesh. */
  of(query: InboundQuery): Computed<InboundPolicy | undefined> {
    return this.#ports.of(query)
  }

  #compute({ namespace, pod: name, port }: InboundQuery, observer: Observer): InboundPolicy | undefined {
    const pod = this.#cluster.pods.get(idOf(namespace, name), observer)
    if (pod === undefined || !isMeshed(pod, this.#config.controlPlaneNamespace)) return undefined
    const servers = this.#cluster.serversByNamespace.rows(namespace, observer)
    const server = selectServer(servers, pod, port, this.#config.controlPlaneNamespace)
    return server === undefined
      ? defaultPolicy(pod, port, this.#config)
      : this.#serverPolicy(server, pod, port, observer)
  }

  #serverPolicy(server: Server, pod: Pod, port: number, observer: Observer): InboundPolicy {
    const { namespace, name } = server
    const protocol = serverProtocol(server, pod, port, this.#config)
    const authorizations = this.#authorizationsOf(server, observer)
    const limit = rateLimitOf(this.#policies.rateLimitsByNamespace.rows(namespace, observer), name)
    return {
      server: { kind: 'resource', group: policyGroup, resourceKind: 'server', namespace, name },
      protocol,
      authorizations,
      ...this.#routesOf(server, pod, port, { protocol, authorizations }, observer),
      ...(limit === undefined ? {} : { rateLimit: limit }),
    }
  }

  /** The routes of a Server; the built-in ones where it has none. */
  #routesOf(
    server: Server,
    pod: Pod,
    port: number,
    { protocol, authorizations }: Pick<InboundPolicy, 'protocol' | 'authorizations'>,
    observer: Observer,
  ): Pick<InboundPolicy, 'httpRoutes' | 'grpcRoutes'> {
    const parent = parentKey('Server', server.namespace, server.name)
    const http = routesOfServer(this.#policies.httpRoutesByParent.rows(parent, observer), server, port)
    const grpc = routesOfServer(this.#policies.grpcRoutesByParent.rows(parent, observer), server, port)
    const withClients = <M>(route: Route<M>) =>
      inboundRoute(route, [...authorizations, ...this.#authorizationsOfRoute(route, observer)])
    const httpRoutes = http.filter(isUsable).map(withClients)
    const grpcRoutes = grpc.filter(isUsable).map(withClients)
    const everything = routeOfEverything(authorizations)
    // Calls of gRPC are told apart by service and method, and no kubelet makes one over HTTP GET.
    if (protocol === 'grpc') {
      const [unusable] = grpc
      const substitute = unusable === undefined ? everything : unusableRoute(unusable, authorizations)
      return { httpRoutes: [], grpcRoutes: grpcRoutes.length > 0 ? grpcRoutes : [asGrpcRoute(substitute)] }
    }
    const own = [...httpRoutes, ...grpcRoutes.map(asHttpRoute)]
    if (own.length > 0) return { httpRoutes: own, grpcRoutes: [] }
    const [unusable] = [...http, ...grpc]
    const substitute = unusable === undefined ? everything : unusableRoute(unusable, authorizations)
    return { httpRoutes: [...probeRoutes(pod, port, this.#config), substitute], grpcRoutes: [] }
  }

  /** Everything that admits somebody to a Server; one is enough. */
  #authorizationsOf(server: Server, observer: Observer): Authorization[] {
    const { namespace, name } = server
    const older = this.#policies.serverAuthorizationsByNamespace
      .rows(namespace, observer)
      .filter((each) => authorizesServer(each, server))
      .sort(byName)
      .flatMap(({ authorization }) => authorization ?? [])
    const policies = this.#resolved(namespace, observer, (policy) => {
      const isForAll = targets(policy, '', 'Namespace', namespace)
      return isForAll || targets(policy, policyGroup, 'Server', name)
    })
    return [...older, ...policies, ...authorizationsOfMode(policyMode(server.accessPolicy), this.#config)]
  }

  #authorizationsOfRoute(
    { namespace, name, group, kind }: Route<unknown>,
    observer: Observer,
  ): Authorization[] {
    return this.#resolved(namespace, observer, (policy) => targets(policy, group, kind, name))
  }

  #resolved(
    namespace: string,
    observer: Observer,
    isWanted: (policy: AuthorizationPolicy) => boolean,
  ): Authorization[] {
    return this.#policies.authorizationPoliciesByNamespace
      .rows(namespace, observer)
      .filter(isWanted)
      .sort(byName)
      .flatMap((policy) => resolvePolicy(policy, this.#policies, this.#config, observer) ?? [])
  }
}

function isUsable(route: Route<unknown>): boolean {
  return route.problem === undefined
}

function byName(left: { name: string }, right: { name: string }): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0
}

function serverProtocol(server: Server, pod: Pod, port: number, config: MeshConfig): InboundProtocol {
  switch (server.proxyProtocol) {
    case 'opaque':
      return 'opaque'
    case 'TLS':
      return 'tls'
    case 'HTTP/1':
      return 'http1'
    case 'HTTP/2':
      return 'http2'
    case 'gRPC':
      return 'grpc'
    default:
      return isPodPortOpaque(pod, port, server, config.defaultOpaquePorts) ? 'opaque' : 'detect'
  }
}

/** The policy of a port that no Server selects. */
export function defaultPolicy(pod: Pod, port: number, config: MeshConfig): InboundPolicy {
  const mode = defaultMode(pod, port, config)
  const authorizations = authorizationsOfMode(mode, config)
  return {
    server: { kind: 'default', name: mode },
    protocol: isPodPortOpaque(pod, port, undefined, config.defaultOpaquePorts) ? 'opaque' : 'detect',
    authorizations,
    httpRoutes: [...probeRoutes(pod, port, config), routeOfEverything(authorizations)],
    grpcRoutes: [],
  }
}

function defaultMode(pod: Pod, port: number, config: MeshConfig): PolicyMode {
  const text = pod.defaultInboundPolicy ?? pod.proxy?.defaultInboundPolicy ?? config.defaultInboundPolicy
  const mode = policyMode(text)
  const required = parsePortSet(pod.proxy?.requireIdentityPorts ?? '')
  return portSetHas(required, port) ? authenticatedMode(mode) : mode
}
