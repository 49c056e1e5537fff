import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Cluster,
  call,
  deployPeer,
  installMesh,
  type Protocol,
  podsOf,
  proxyMetrics,
  type Sample,
  shown,
  startCluster,
  until,
} from './cluster.ts'

const test = suite('traffic between pods')

const protocols: Protocol[] = ['http1', 'http2', 'grpc', 'tcp', 'server-first']
/** Meshed and plain peers, in namespaces of their own. */
const peers = { 'meshed-a': true, 'meshed-b': true, plain: false } as const
type Peer = keyof typeof peers

let cluster: Cluster
const pods = {} as Record<Peer, string>

test.before(
  shown(async () => {
    cluster = await startCluster('traffic')
    await installMesh(cluster)
    for (const [name, meshed] of Object.entries(peers) as [Peer, boolean][]) {
      await deployPeer(cluster, { namespace: `ns-${name}`, name, meshed })
      const [pod] = await podsOf(cluster, `ns-${name}`, name)
      assert.ok(pod, `${name} has a pod`)
      pods[name] = pod
    }
  }),
)

test.after(
  shown(async () => {
    await cluster?.stop()
  }),
)

function callPeer(
  from: Peer,
  to: Peer,
  protocol: Protocol,
  options: { payload?: string; path?: string } = {},
) {
  const host = `${to}.ns-${to}.svc.cluster.local`
  return call(cluster, { namespace: `ns-${from}`, pod: pods[from] }, { host, protocol, ...options })
}

function countOf(samples: Sample[], name: string, labels: Record<string, string>): number {
  return samples
    .filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, sample) => sum + sample.value, 0)
}

test('a meshed pod has the redirect rules and the proxy as a native sidecar', async () => {
  const pod = JSON.parse(
    await cluster.mustKubectl(['get', 'pod', '-n', 'ns-meshed-a', pods['meshed-a'], '-o', 'json']),
  ) as {
    spec: { initContainers: { name: string; restartPolicy?: string }[]; containers: { name: string }[] }
  }
  assert.equal(
    pod.spec.initContainers.map(({ name, restartPolicy }) => [name, restartPolicy]),
    [
      ['linkerd-init', undefined],
      ['linkerd-proxy', 'Always'],
    ],
  )
  assert.equal(
    pod.spec.containers.map(({ name }) => name),
    ['peer'],
  )
})

const routes: [Peer, Peer][] = [
  ['meshed-a', 'meshed-b'],
  ['meshed-a', 'plain'],
  ['plain', 'meshed-b'],
]
for (const [from, to] of routes) {
  for (const protocol of protocols) {
    test(`${from} → ${to}: ${protocol}`, async () => {
      const result = await callPeer(from, to, protocol, { payload: `hello over ${protocol}` })
      assert.ok(result.ok, JSON.stringify(result))
      assert.match(result.body ?? '', `hello over ${protocol}`)
      assert.match(result.body ?? JSON.stringify(result.headers), protocol === 'grpc' ? 'hello' : pods[to])
    })
  }
}

test('the application sees the HTTP version that its peer spoke', async () => {
  const overHttp1 = await callPeer('meshed-a', 'meshed-b', 'http1')
  assert.is((JSON.parse(overHttp1.body ?? '{}') as { protocol: string }).protocol, 'HTTP/1.1')
  const overHttp2 = await callPeer('meshed-a', 'meshed-b', 'http2')
  assert.is((JSON.parse(overHttp2.body ?? '{}') as { protocol: string }).protocol, 'HTTP/2.0')
})

test('the application learns the verified client, and cannot be lied to', async () => {
  const result = await callPeer('meshed-a', 'meshed-b', 'http1')
  const seen = JSON.parse(result.body ?? '{}') as { headers: Record<string, string> }
  assert.is(
    seen.headers['l5d-client-id'],
    'meshed-a.ns-meshed-a.serviceaccount.identity.linkerd.cluster.local',
  )
  const plain = await callPeer('plain', 'meshed-b', 'http1')
  const unverified = JSON.parse(plain.body ?? '{}') as { headers: Record<string, string> }
  assert.is(unverified.headers['l5d-client-id'], undefined)
})

test('a gRPC stream and a status travel unchanged', async () => {
  const stream = await callPeer('meshed-a', 'meshed-b', 'grpc', {
    path: '/peer.Echo/Stream',
    payload: 'part',
  })
  assert.is(stream.body, 'part|part|part')
  const unknown = await callPeer('meshed-a', 'meshed-b', 'grpc', { path: '/peer.Echo/Nothing' })
  assert.is(unknown.headers?.['grpc-status'], '12')
})

test('a server that speaks first is not kept waiting', async () => {
  const result = await callPeer('meshed-a', 'meshed-b', 'server-first')
  assert.ok(result.ok)
  // Detection by time-out would take 10 s.
  assert.ok((result.durationMs ?? Number.POSITIVE_INFINITY) < 5_000, `greeted after ${result.durationMs} ms`)
})

test('metrics name both identities, and say why a connection is not secured', async () => {
  const inbound = await until('metrics of the receiving proxy', async () => {
    const samples = await proxyMetrics(cluster, 'ns-meshed-b', pods['meshed-b'])
    return countOf(samples, 'response_total', { direction: 'inbound', tls: 'true' }) > 0 ? samples : undefined
  })
  const clientId = 'meshed-a.ns-meshed-a.serviceaccount.identity.linkerd.cluster.local'
  assert.ok(
    countOf(inbound, 'response_total', { direction: 'inbound', tls: 'true', client_id: clientId }) > 0,
  )
  assert.ok(
    countOf(inbound, 'response_total', { direction: 'inbound', no_tls_reason: 'no_tls_from_remote' }) > 0,
  )

  const outbound = await proxyMetrics(cluster, 'ns-meshed-a', pods['meshed-a'])
  const serverId = 'meshed-b.ns-meshed-b.serviceaccount.identity.linkerd.cluster.local'
  const toMeshed = { direction: 'outbound', dst_deployment: 'meshed-b', dst_namespace: 'ns-meshed-b' }
  assert.ok(countOf(outbound, 'response_total', { ...toMeshed, tls: 'true', server_id: serverId }) > 0)
  assert.ok(
    countOf(outbound, 'response_total', {
      direction: 'outbound',
      no_tls_reason: 'not_provided_by_service_discovery',
    }) > 0,
  )
  assert.ok(countOf(outbound, 'response_latency_ms_count', toMeshed) > 0)
  assert.ok(countOf(outbound, 'tcp_open_total', { direction: 'outbound', peer: 'dst', tls: 'true' }) > 0)
})

test('a failure is counted as one', async () => {
  const result = await callPeer('meshed-a', 'meshed-b', 'http1', { path: '/?status=503' })
  assert.is(result.status, 503)
  const samples = await proxyMetrics(cluster, 'ns-meshed-b', pods['meshed-b'])
  assert.is(
    countOf(samples, 'response_total', {
      direction: 'inbound',
      status_code: '503',
      classification: 'failure',
    }),
    1,
  )
})

test.run()
