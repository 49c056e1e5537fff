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
  authenticatedMode,
  authorizationsOfMode,
  type PolicyMode,
  policyMode,
  resolvePolicy,
  targets,
  wholeNetwork,
} from './authorization.ts'
import type { InboundRoute } from './inbound-route.ts'
import type { Meta } from './meta.ts'
import { policyGroup } from './reference.ts'
import type { PolicyState } from './state.ts'

/** How the bytes on a port are read. */
export type InboundProtocol = 'detect' | 'opaque' | 'tls' | 'http1' | 'http2' | 'grpc'

/** The policy of one port of one pod. */
export interface InboundPolicy {
  server: Meta
  protocol: InboundProtocol
  /** Whoever satisfies one of them is admitted; with none, nobody is. */
  authorizations: readonly Authorization[]
  /** Requests are judged by the route that they match. */
  routes: readonly InboundRoute[]
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
    const authorizations = [
      ...this.#authorizationsOf(server, observer),
      ...authorizationsOfMode(policyMode(server.accessPolicy), this.#config),
    ]
    const { namespace, name } = server
    const protocol = serverProtocol(server, pod, port, this.#config)
    return {
      server: { kind: 'resource', group: policyGroup, resourceKind: 'server', namespace, name },
      protocol,
      authorizations,
      routes: [
        // Calls of gRPC are told apart by service and method, and no kubelet makes one over HTTP GET.
        ...(protocol === 'grpc' ? [] : probeRoutes(pod, port, this.#config)),
        routeOfEverything(authorizations),
      ],
    }
  }

  #authorizationsOf(server: Server, observer: Observer): Authorization[] {
    return [...this.#policies.authorizationPoliciesByNamespace.rows(server.namespace, observer)]
      .filter(
        (policy) =>
          targets(policy, policyGroup, 'Server', server.name) ||
          targets(policy, '', 'Namespace', server.namespace),
      )
      .sort((left, right) => (left.name < right.name ? -1 : 1))
      .flatMap((policy) => resolvePolicy(policy, this.#policies, this.#config, observer) ?? [])
  }
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
    routes: [...probeRoutes(pod, port, config), routeOfEverything(authorizations)],
  }
}

function defaultMode(pod: Pod, port: number, config: MeshConfig): PolicyMode {
  const text = pod.defaultInboundPolicy ?? pod.proxy?.defaultInboundPolicy ?? config.defaultInboundPolicy
  const mode = policyMode(text)
  const required = parsePortSet(pod.proxy?.requireIdentityPorts ?? '')
  return portSetHas(required, port) ? authenticatedMode(mode) : mode
}

/** What a port that has no routes of its own does with every request. */
function routeOfEverything(authorizations: readonly Authorization[]): InboundRoute {
  return {
    meta: { kind: 'default', name: 'default' },
    authorizations,
    rules: [{ matches: [{ path: { kind: 'prefix', value: '/' } }] }],
  }
}

/**
 * The kubelet has no identity, and its probes must not fail because a policy was made: GET on exactly the paths that
 * the pod declares is admitted without one.
 */
function probeRoutes(pod: Pod, port: number, config: MeshConfig): InboundRoute[] {
  const paths = new Set(pod.probes.filter((probe) => probe.port === port).map(({ path }) => path))
  if (paths.size === 0) return []
  const meta: Meta = { kind: 'default', name: 'probe' }
  const matches = [...paths]
    .sort()
    .map((value) => ({ path: { kind: 'exact' as const, value }, method: 'GET' }))
  const networks = config.probeNetworks.map(wholeNetwork)
  return [{ meta, authorizations: [{ meta, networks, clients: { kind: 'anyone' } }], rules: [{ matches }] }]
}
