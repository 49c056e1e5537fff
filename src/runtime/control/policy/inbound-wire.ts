import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type AuthnSchema,
  type AuthzSchema,
  type GrpcRouteSchema,
  type HttpRouteSchema,
  type ProxyProtocolSchema,
  type Server,
  ServerSchema,
} from '../../proto/gen/io/linkerd/proxy/inbound_pb.js'
import { networkToWire } from '../cluster/ip.ts'
import type { Clients } from './authentication.ts'
import type { Authorization } from './authorization.ts'
import type { InboundPolicy } from './inbound.ts'
import type { InboundRoute } from './inbound-route.ts'
import { httpMatch } from './match-wire.ts'
import { metaToLabels, metaToWire } from './meta.ts'

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
  const routes = () => policy.routes.map(httpRoute)
  switch (policy.protocol) {
    case 'detect':
      return { kind: { case: 'detect', value: { timeout: detectTimeout, httpRoutes: routes() } } }
    case 'opaque':
      return { kind: { case: 'opaque', value: {} } }
    case 'tls':
      return { kind: { case: 'tls', value: {} } }
    case 'http1':
      return { kind: { case: 'http1', value: { routes: routes() } } }
    case 'http2':
      return { kind: { case: 'http2', value: { routes: routes() } } }
    case 'grpc':
      return { kind: { case: 'grpc', value: { routes: policy.routes.map(grpcRoute) } } }
  }
}

function httpRoute(route: InboundRoute): MessageInitShape<typeof HttpRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    authorizations: route.authorizations.map(authorization),
    rules: route.rules.map(({ matches }) => ({ matches: matches.map(httpMatch) })),
  }
}

/** The routes of a gRPC port; the built-in one takes every call. */
function grpcRoute(route: InboundRoute): MessageInitShape<typeof GrpcRouteSchema> {
  return {
    metadata: metaToWire(route.meta),
    authorizations: route.authorizations.map(authorization),
    rules: [{ matches: [{}] }],
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
