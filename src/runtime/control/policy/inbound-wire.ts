import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type AuthnSchema,
  type AuthzSchema,
  type GrpcRouteSchema,
  type HttpLocalRateLimitSchema,
  type HttpRouteSchema,
  type ProxyProtocolSchema,
  type Server,
  ServerSchema,
} from '../../proto/gen/io/linkerd/proxy/inbound_pb.js'
import { networkToWire } from '../cluster/ip.ts'
import type { Clients } from './authentication.ts'
import type { Authorization } from './authorization.ts'
import { grpcFilter, inboundHttpFilter } from './filter-wire.ts'
import type { InboundPolicy } from './inbound.ts'
import type { InboundRoute } from './inbound-route.ts'
import { grpcMatch, hostMatch, httpMatch } from './match-wire.ts'
import { metaToLabels, metaToWire } from './meta.ts'
import type { RateLimit } from './rate-limit.ts'
import { policyGroup } from './reference.ts'
import type { GrpcMatch } from './route/match.ts'

const detectTimeout = { seconds: 10n }

/** A port's policy as the wire has it. */
export function inboundServer(policy: InboundPolicy): Server {
  return create(ServerSchema, {
    protocol: protocol(policy),
    authorizations: policy.authorizations.map(authorization),
    labels: metaToLabels(policy.server),
  })
}

function protocol(policy: InboundPolicy): MessageInitShape<typeof ProxyProtocolSchema> {
  const routes = () => policy.httpRoutes.map(httpRoute)
  const localRateLimit = policy.rateLimit === undefined ? {} : { localRateLimit: rateLimit(policy.rateLimit) }
  switch (policy.protocol) {
    case 'detect':
      return { kind: { case: 'detect', value: detect(policy) } }
    case 'opaque':
      return { kind: { case: 'opaque', value: {} } }
    case 'tls':
      return { kind: { case: 'tls', value: {} } }
    case 'http1':
      return { kind: { case: 'http1', value: { routes: routes(), ...localRateLimit } } }
    case 'http2':
      return { kind: { case: 'http2', value: { routes: routes(), ...localRateLimit } } }
    case 'grpc':
      return { kind: { case: 'grpc', value: { routes: policy.grpcRoutes.map(grpcRoute) } } }
  }
}

function detect({ httpRoutes, rateLimit: limit }: InboundPolicy) {
  return {
    timeout: detectTimeout,
    httpRoutes: httpRoutes.map(httpRoute),
    ...(limit === undefined ? {} : { httpLocalRateLimit: rateLimit(limit) }),
  }
}

function httpRoute(route: InboundRoute): MessageInitShape<typeof HttpRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    hosts: route.hosts.map(hostMatch),
    authorizations: route.authorizations.map(authorization),
    rules: route.rules.map(({ matches, filters }) => ({
      matches: matches.map(httpMatch),
      filters: filters.flatMap(inboundHttpFilter),
    })),
  }
}

function grpcRoute(route: InboundRoute<GrpcMatch>): MessageInitShape<typeof GrpcRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    hosts: route.hosts.map(hostMatch),
    authorizations: route.authorizations.map(authorization),
    rules: route.rules.map(({ matches, filters }) => ({
      matches: matches.map(grpcMatch),
      filters: filters.flatMap(grpcFilter),
    })),
  }
}

function rateLimit(limit: RateLimit): MessageInitShape<typeof HttpLocalRateLimitSchema> {
  const { namespace, name, total, identity, overrides } = limit
  const resourceKind = 'httplocalratelimitpolicy'
  return {
    metadata: metaToWire({ kind: 'resource', group: policyGroup, resourceKind, namespace, name }),
    ...(total === undefined ? {} : { total: { requestsPerSecond: total } }),
    ...(identity === undefined ? {} : { identity: { requestsPerSecond: identity } }),
    overrides: overrides.map((override) => ({
      limit: { requestsPerSecond: override.limit },
      clients: { identities: override.identities.map((each) => ({ name: each })) },
    })),
  }
}

function authorization({ meta, networks, clients }: Authorization): MessageInitShape<typeof AuthzSchema> {
  return {
    networks: networks.map(({ network, except }) => ({
      net: networkToWire(network),
      except: except.map(networkToWire),
    })),
    authentication: authentication(clients),
    labels: metaToLabels(meta),
    metadata: metaToWire(meta),
  }
}

function authentication(clients: Clients): MessageInitShape<typeof AuthnSchema> {
  switch (clients.kind) {
    case 'anyone':
      return { permit: { case: 'unauthenticated', value: {} } }
    case 'any-tls':
      return { permit: { case: 'meshTLS', value: { clients: { case: 'unauthenticated', value: {} } } } }
    case 'identities':
      return {
        permit: {
          case: 'meshTLS',
          value: {
            clients: {
              case: 'identities',
              value: {
                identities: clients.names.map((name) => ({ name })),
                suffixes: clients.suffixes.map((parts) => ({ parts: [...parts] })),
              },
            },
          },
        },
      }
  }
}
