import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:http2'
import { parseArgs } from 'node:util'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { ConnectRouter } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { issueLeaf } from '../../src/runtime/pki/authority.ts'
import { parseCertificates } from '../../src/runtime/pki/certificate.ts'
import { parseCsr } from '../../src/runtime/pki/csr.ts'
import {
  Destination,
  type DestinationProfileSchema,
  type UpdateSchema,
} from '../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { Identity } from '../../src/runtime/proto/gen/io/linkerd/proxy/identity_pb.js'
import {
  InboundServerPolicies,
  type ServerSchema,
} from '../../src/runtime/proto/gen/io/linkerd/proxy/inbound_pb.js'
import {
  OutboundPolicies,
  type OutboundPolicySchema,
} from '../../src/runtime/proto/gen/io/linkerd/proxy/outbound_pb.js'

/**
 * The control plane of the benchmark: answers the public proxy API for one service with one endpoint. Any proxy that
 * speaks the API can be measured by it.
 */

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string' },
    target: { type: 'string' },
    opaque: { type: 'boolean', default: false },
  },
})
const folder = flags.folder ?? '.'
const [targetIp = '', targetPortText = ''] = (flags.target ?? '').split(':')
const targetPort = Number(targetPortText)
const authority = `backend.bench.svc.cluster.local:${targetPort}`
const serverIdentity = 'server.bench.serviceaccount.identity.linkerd.cluster.local'

const [anchor] = parseCertificates(readFileSync(`${folder}/ca.pem`, 'utf8'))
if (anchor === undefined) throw new Error('no certificate in ca.pem')
const issuer = { certificate: anchor, privateKey: createPrivateKey(readFileSync(`${folder}/ca.key`)) }

function ipv4(text: string): number {
  return text.split('.').reduce((number, octet) => number * 256 + Number(octet), 0)
}

const target = { ip: { ip: { case: 'ipv4' as const, value: ipv4(targetIp) } }, port: targetPort }
const labels = { deployment: 'backend', namespace: 'bench' }

const endpoints: MessageInitShape<typeof UpdateSchema> = {
  update: {
    case: 'add',
    value: {
      metricLabels: { service: 'backend', namespace: 'bench' },
      addrs: [
        {
          addr: target,
          weight: 10_000,
          metricLabels: labels,
          tlsIdentity: {
            strategy: { case: 'dnsLikeIdentity', value: { name: serverIdentity } },
            serverName: { name: serverIdentity },
          },
          protocolHint: {
            protocol: { case: flags.opaque ? 'opaque' : 'h2', value: {} },
            opaqueTransport: { inboundPort: 4143 },
          },
        },
      ],
    },
  },
}

const profile: MessageInitShape<typeof DestinationProfileSchema> = {
  fullyQualifiedName: 'backend.bench.svc.cluster.local',
  opaqueProtocol: flags.opaque,
  retryBudget: { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: durationFromMs(10_000) },
  parentRef: {
    kind: {
      case: 'resource',
      value: { group: 'core', kind: 'Service', name: 'backend', namespace: 'bench', port: targetPort },
    },
  },
}

const metadata = { kind: { case: 'default' as const, value: 'bench' } }
const backend = {
  backend: {
    metadata,
    kind: {
      case: 'balancer' as const,
      value: {
        discovery: { kind: { case: 'dst' as const, value: { path: authority } } },
        load: {
          case: 'peakEwma' as const,
          value: { defaultRtt: durationFromMs(30), decay: durationFromMs(10_000) },
        },
      },
    },
    queue: { capacity: 100, failfastTimeout: durationFromMs(3000) },
  },
}
const backends = { kind: { case: 'firstAvailable' as const, value: { backends: [backend] } } }
const httpRoutes = {
  routes: [
    {
      metadata,
      rules: [{ matches: [{ path: { kind: { case: 'prefix' as const, value: '/' } } }], backends }],
    },
  ],
}
const opaqueRoutes = { routes: [{ metadata, rules: [{ backends }] }] }

const outboundPolicy: MessageInitShape<typeof OutboundPolicySchema> = {
  metadata,
  protocol: {
    kind: flags.opaque
      ? { case: 'opaque', value: opaqueRoutes }
      : {
          case: 'detect',
          value: {
            timeout: durationFromMs(10_000),
            opaque: opaqueRoutes,
            http1: httpRoutes,
            http2: httpRoutes,
          },
        },
  },
}

const inboundPolicy: MessageInitShape<typeof ServerSchema> = {
  labels: { group: '', kind: 'default', name: 'all-unauthenticated' },
  protocol: {
    kind: flags.opaque
      ? { case: 'opaque', value: {} }
      : {
          case: 'detect',
          value: {
            timeout: durationFromMs(10_000),
            httpRoutes: [
              { metadata, rules: [{ matches: [{ path: { kind: { case: 'prefix', value: '/' } } }] }] },
            ],
          },
        },
  },
  authorizations: [
    {
      metadata,
      labels: { group: '', kind: 'default', name: 'all-unauthenticated' },
      networks: [{ net: { ip: { ip: { case: 'ipv4', value: 0 } }, prefixLen: 0 } }],
      authentication: { permit: { case: 'unauthenticated', value: {} } },
    },
  ],
}

/** One message, then nothing more until the caller goes away. */
async function* onceThenWait<T>(message: T, signal: AbortSignal): AsyncGenerator<T> {
  yield message
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

function routes(router: ConnectRouter): void {
  router.service(Destination, {
    get: (_request, context) => onceThenWait(endpoints, context.signal),
    getProfile: (_request, context) => onceThenWait(profile, context.signal),
  })
  router.service(OutboundPolicies, {
    get: () => outboundPolicy,
    watch: (_request, context) => onceThenWait(outboundPolicy, context.signal),
  })
  router.service(InboundServerPolicies, {
    getPort: () => inboundPolicy,
    watchPort: (_request, context) => onceThenWait(inboundPolicy, context.signal),
  })
  router.service(Identity, {
    certify(request) {
      const csr = parseCsr(request.certificateSigningRequest)
      const notAfterMs = Date.now() + 86_400_000
      const leaf = issueLeaf(issuer, {
        publicKey: csr.publicKey,
        dnsNames: [request.identity],
        notBeforeMs: Date.now() - 60_000,
        notAfterMs,
      })
      return { leafCertificate: leaf, intermediateCertificates: [], validUntil: timestampFromMs(notAfterMs) }
    },
  })
}

for (const port of [8080, 8086, 8090]) createServer(connectNodeAdapter({ routes })).listen(port, '127.0.0.1')
createHttpServer((_request, response) => response.end('ready')).listen(8099, '127.0.0.1')
