import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type DestinationProfile,
  DestinationProfileSchema,
  type Http2ClientParamsSchema,
  type ProtocolHintSchema,
  type Update,
  UpdateSchema,
  type WeightedAddr,
  WeightedAddrSchema,
} from '../../proto/gen/io/linkerd/proxy/destination_pb.js'
import { type TcpAddress, TcpAddressSchema } from '../../proto/gen/io/linkerd/proxy/net_pb.js'
import { ipToWire, parseIp } from '../cluster/ip.ts'
import type { Endpoint } from './endpoints.ts'
import type { Profile } from './profile.ts'
import { profileParts } from './service-profile-wire.ts'
import type { Difference } from './snapshot.ts'

/** The weight of one share; clients read weights as multiples of a ten-thousandth. */
const oneShare = 10_000
/** Keeps a message well below the 4 MiB that gRPC clients take by default. */
const maxAddressesPerUpdate = 1_000

/** What dead connections between proxies are noticed by. */
const http2Parameters: MessageInitShape<typeof Http2ClientParamsSchema> = {
  keepAlive: { interval: { seconds: 10n }, timeout: { seconds: 3n }, whileIdle: true },
}

const encoded = new WeakMap<Endpoint, WeightedAddr>()

/** An endpoint as the wire has it; made once, whoever asks. */
export function weightedAddr(endpoint: Endpoint): WeightedAddr {
  const known = encoded.get(endpoint)
  if (known !== undefined) return known
  const { identity, pod, authorityOverride } = endpoint
  const message = create(WeightedAddrSchema, {
    addr: tcpAddress(endpoint),
    weight: oneShare,
    metricLabels: { ...endpoint.labels },
    protocolHint: protocolHint(endpoint),
    ...(identity === undefined
      ? {}
      : {
          tlsIdentity: {
            strategy: { case: 'dnsLikeIdentity' as const, value: { name: identity } },
            serverName: { name: identity },
          },
          http2: http2Parameters,
        }),
    ...(authorityOverride === undefined ? {} : { authorityOverride: { authorityOverride } }),
    ...(pod === undefined ? {} : { resourceRef: resource('Pod', pod.namespace, pod.name, endpoint.port) }),
  })
  encoded.set(endpoint, message)
  return message
}

function protocolHint(endpoint: Endpoint): MessageInitShape<typeof ProtocolHintSchema> {
  const { protocol, transportPort } = endpoint
  return {
    ...(protocol === undefined ? {} : { protocol: { case: protocol, value: {} } }),
    ...(transportPort === undefined ? {} : { opaqueTransport: { inboundPort: transportPort } }),
  }
}

function tcpAddress({ ip, port }: Endpoint): TcpAddress {
  const parsed = parseIp(ip)
  return create(TcpAddressSchema, { port, ...(parsed === undefined ? {} : { ip: ipToWire(parsed) }) })
}

/** The name of a resource of the core group. */
function resource(kind: string, namespace: string, name: string, port: number) {
  return {
    kind: { case: 'resource' as const, value: { group: 'core', kind, namespace, name, port } },
  }
}

/** Additions first: a client that loses its last endpoint for a moment fails requests. */
export function* updates(
  { added, removed }: Difference,
  service: { namespace: string; name: string },
): Generator<Update> {
  const metricLabels = { namespace: service.namespace, service: service.name }
  for (const endpoints of batches(added)) {
    const value = { addrs: endpoints.map(weightedAddr), metricLabels }
    yield create(UpdateSchema, { update: { case: 'add', value } })
  }
  for (const endpoints of batches(removed)) {
    yield create(UpdateSchema, { update: { case: 'remove', value: { addrs: endpoints.map(tcpAddress) } } })
  }
}

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += maxAddressesPerUpdate) {
    yield items.slice(start, start + maxAddressesPerUpdate)
  }
}

/** The Service has no endpoints now, or is not there. */
export function noEndpoints(exists: boolean): Update {
  return create(UpdateSchema, { update: { case: 'noEndpoints', value: { exists } } })
}

/** A profile as the wire has it; the kinds that are errors have no such form. */
export function destinationProfile(
  profile: Exclude<Profile, { kind: 'external-name' | 'conflict' }>,
  clusterDomain: string,
): DestinationProfile {
  switch (profile.kind) {
    case 'empty':
      return create(DestinationProfileSchema, {})
    case 'endpoint':
      return create(DestinationProfileSchema, {
        endpoint: weightedAddr(profile.endpoint),
        opaqueProtocol: profile.isOpaque,
      })
    case 'service':
      return create(DestinationProfileSchema, {
        fullyQualifiedName: `${profile.name}.${profile.namespace}.svc.${clusterDomain}`,
        opaqueProtocol: profile.isOpaque,
        ...profileParts(profile.serviceProfile, profile.port, clusterDomain),
        parentRef: resource('Service', profile.namespace, profile.name, profile.port),
      })
  }
}
