import type { MeshConfig } from '../cluster/config.ts'
import type { Pod } from '../cluster/pod.ts'
import type { Server } from '../cluster/server.ts'
import { type Authorization, wholeNetwork } from './authorization.ts'
import type { Meta } from './meta.ts'
import { byPrecedence, refersToPort } from './route/attachment.ts'
import type { Filter } from './route/filter.ts'
import type { GrpcMatch, HostMatch, HttpMatch } from './route/match.ts'
import type { Route } from './route/route.ts'

/** A route of a port, with whom it admits. */
export interface InboundRoute<M = HttpMatch> {
  meta: Meta
  hosts: readonly HostMatch[]
  authorizations: readonly Authorization[]
  rules: readonly { matches: readonly M[]; filters: readonly Filter[] }[]
}

/** What a port that has no routes of its own does with every request. */
export function routeOfEverything(authorizations: readonly Authorization[]): InboundRoute {
  return {
    meta: { kind: 'default', name: 'default' },
    hosts: [],
    authorizations,
    rules: [{ matches: [{ path: { kind: 'prefix', value: '/' } }], filters: [] }],
  }
}

/**
 * The kubelet has no identity, and its probes must not fail because a policy was made: GET on exactly the paths that
 * the pod declares is admitted without one.
 */
export function probeRoutes(pod: Pod, port: number, config: MeshConfig): InboundRoute[] {
  const paths = new Set(pod.probes.filter((probe) => probe.port === port).map(({ path }) => path))
  if (paths.size === 0) return []
  const meta: Meta = { kind: 'default', name: 'probe' }
  const matches = [...paths]
    .sort()
    .map((value) => ({ path: { kind: 'exact' as const, value }, method: 'GET' }))
  const networks = config.probeNetworks.map(wholeNetwork)
  const authorizations: Authorization[] = [{ meta, networks, clients: { kind: 'anyone' } }]
  return [{ meta, hosts: [], authorizations, rules: [{ matches, filters: [] }] }]
}

/** The routes of a Server, the most important first. A Server takes routes of its own namespace only. */
export function routesOfServer<R extends Route<unknown>>(
  routes: readonly R[],
  server: Server,
  port: number,
): R[] {
  return routes
    .filter((route) => route.namespace === server.namespace && refersToPort(route, 'Server', server, port))
    .sort(byPrecedence)
}

/**
 * Stands for routes of which none can be used: every request is refused. Without it the port would be open to
 * requests that the routes were meant to keep out.
 */
export function unusableRoute(route: Route<unknown>, authorizations: readonly Authorization[]): InboundRoute {
  const message = `${route.kind} ${route.namespace}/${route.name} cannot be used: ${route.problem}`
  const everything = routeOfEverything(authorizations)
  return {
    ...everything,
    meta: routeMeta(route),
    rules: everything.rules.map((rule) => ({
      ...rule,
      filters: [{ kind: 'failure', status: 500, message }],
    })),
  }
}

/** A route of a Server with whom it admits: those whom the Server does, and its own. */
export function inboundRoute<M>(route: Route<M>, authorizations: readonly Authorization[]): InboundRoute<M> {
  return {
    meta: routeMeta(route),
    hosts: route.hosts,
    authorizations,
    // Responses are not changed on the way in.
    rules: route.rules.map(({ matches, filters }) => ({
      matches,
      filters: filters.filter((filter) => filter.kind !== 'response-headers'),
    })),
  }
}

function routeMeta({ group, kind, namespace, name }: Route<unknown>): Meta {
  return { kind: 'resource', group, resourceKind: kind, namespace, name }
}

/** A gRPC route for a port where gRPC is one protocol among others: a call is a POST to `/SERVICE/METHOD`. */
export function asHttpRoute(route: InboundRoute<GrpcMatch>): InboundRoute {
  return {
    ...route,
    rules: route.rules.map(({ matches, filters }) => ({ matches: matches.map(asHttpMatch), filters })),
  }
}

/** A route that takes every request, for a gRPC port. */
export function asGrpcRoute(route: InboundRoute): InboundRoute<GrpcMatch> {
  return { ...route, rules: route.rules.map(({ filters }) => ({ matches: [{}], filters })) }
}

function asHttpMatch({ service, method, headers }: GrpcMatch): HttpMatch {
  return { method: 'POST', path: callPath(service, method), ...(headers === undefined ? {} : { headers }) }
}

function callPath(service: string | undefined, method: string | undefined): HttpMatch['path'] & object {
  if (service !== undefined && method !== undefined) return { kind: 'exact', value: `/${service}/${method}` }
  if (service !== undefined) return { kind: 'prefix', value: `/${service}` }
  if (method !== undefined) return { kind: 'regex', value: `/[^/]+/${method.replace(/\W/g, '\\$&')}` }
  return { kind: 'prefix', value: '/' }
}
