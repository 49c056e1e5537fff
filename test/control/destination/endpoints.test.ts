import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { MeshConfig } from '../../../src/runtime/control/cluster/config.ts'
import { readEndpointSlice } from '../../../src/runtime/control/cluster/endpoint-slice.ts'
import { readIntermediate, readNode } from '../../../src/runtime/control/cluster/owner.ts'
import { readPod } from '../../../src/runtime/control/cluster/pod.ts'
import { parsePortSet } from '../../../src/runtime/control/cluster/port-set.ts'
import type { Observer, Topic } from '../../../src/runtime/control/cluster/reactive.ts'
import { readServer } from '../../../src/runtime/control/cluster/server.ts'
import { readService } from '../../../src/runtime/control/cluster/service.ts'
import { ClusterState } from '../../../src/runtime/control/cluster/state.ts'
import { Discovery, type EndpointQuery } from '../../../src/runtime/control/destination/discovery.ts'
import type { Endpoint } from '../../../src/runtime/control/destination/endpoints.ts'
import { type Manifest, pod, service, slice } from '../../support/cluster-objects.ts'
import { server } from '../../support/policy-objects.ts'

const test = suite('control/destination: endpoints')

const defaults: MeshConfig = {
  controlPlaneNamespace: 'linkerd',
  clusterDomain: 'cluster.local',
  trustDomain: 'trust.example',
  clusterNetworks: [],
  defaultOpaquePorts: parsePortSet('3306'),
  defaultSkipInboundPorts: parsePortSet('4567'),
  defaultInboundPolicy: 'all-unauthenticated',
  probeNetworks: [],
  isH2UpgradeEnabled: true,
  isIpv6Enabled: true,
}

const nobody: Observer = { depend: (_topic: Topic) => {}, invalidate: () => {} }

/** A cluster of these objects; what a manifest is follows from its fields. */
function cluster(...objects: Manifest[]): ClusterState {
  const state = new ClusterState()
  for (const object of objects) put(state, object)
  return state
}

function put(state: ClusterState, object: Manifest): void {
  const { namespace = '', name } = object.metadata
  const id = `${namespace}/${name}`
  if ('addressType' in object) state.slices.set(id, readEndpointSlice(object))
  else if ('status' in object) state.pods.set(id, readPod(object))
  else if (object.metadata.namespace === undefined) state.nodes.set(name, readNode(object))
  else if ('podSelector' in ((object.spec as object | undefined) ?? {}))
    state.servers.set(id, readServer(object))
  else state.services.set(id, readService(object))
}

function endpointsOf(
  state: ClusterState,
  query: Partial<EndpointQuery> = {},
  config: Partial<MeshConfig> = {},
): Endpoint[] {
  const discovery = new Discovery(state, { ...defaults, ...config })
  const resolution = discovery.endpoints({ namespace: 'shop', name: 'web', port: 80, ...query }).read(nobody)
  if (resolution.kind !== 'endpoints') throw new Error('endpoints were expected')
  return resolution.snapshot.chunks.flatMap((chunk) => [...chunk.values()])
}

function addresses(endpoints: Endpoint[]): string[] {
  return endpoints.map(({ ip, port }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)).sort()
}

function node(name: string, zone: string): Manifest {
  return { metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } } }
}

const webSlice = slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }])
const webPod = (options = {}) => pod('web-1', { ip: '10.244.0.5', ...options })
const onlyEndpoint = (podOptions = {}, config: Partial<MeshConfig> = {}, ...more: Manifest[]) => {
  const [endpoint] = endpointsOf(cluster(service('web'), webSlice, webPod(podOptions), ...more), {}, config)
  if (endpoint === undefined) throw new Error('an endpoint was expected')
  return endpoint
}

test('a pod is meshed only with a proxy of this control plane in it', () => {
  assert.is(onlyEndpoint().identity, 'default.shop.serviceaccount.identity.linkerd.trust.example')
  assert.is(onlyEndpoint({ isMeshed: false }).identity, undefined)
  assert.is(onlyEndpoint({ controlPlane: 'another' }).identity, undefined)
  const forged = { isMeshed: false, labels: { 'linkerd.io/control-plane-ns': 'linkerd' } }
  assert.is(onlyEndpoint(forged).identity, undefined)
  assert.is(onlyEndpoint({ isMeshed: false }).protocol, undefined)
})

test('a proxy that is an ordinary container counts as well', () => {
  const object = webPod()
  const spec = object.spec as { initContainers: unknown[]; containers: unknown[] }
  spec.containers.push(...spec.initContainers.splice(0))
  const [endpoint] = endpointsOf(cluster(service('web'), webSlice, object))
  assert.ok(endpoint?.identity)
})

test('the transport port is where the proxy listens', () => {
  assert.is(onlyEndpoint({ proxyEnv: { INBOUND_LISTEN_ADDR: '[::]:5143' } }).transportPort, 5143)
  assert.is(onlyEndpoint({ proxyEnv: { INBOUND_LISTEN_ADDR: 'nonsense' } }).transportPort, 4143)
})

const unmeshedPorts: [string, Record<string, unknown>, number][] = [
  ['its admin port', { proxyEnv: { ADMIN_LISTEN_ADDR: '0.0.0.0:9191' } }, 9191],
  ['its control port', { proxyEnv: { CONTROL_LISTEN_ADDR: '0.0.0.0:9190' } }, 9190],
  [
    'an annotated skipped port',
    { annotations: { 'config.linkerd.io/skip-inbound-ports': '7000-7010' } },
    7005,
  ],
  ['a port that is skipped by default', {}, 4567],
]
for (const [what, options, port] of unmeshedPorts) {
  test(`no handshake is tried on ${what}`, () => {
    const state = cluster(
      service('web', { ports: [{ port: 80, targetPort: port }] }),
      slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }], { ports: [{ name: '', port }] }),
      webPod(options),
    )
    const [endpoint] = endpointsOf(state)
    assert.is(endpoint?.port, port)
    assert.is(endpoint?.identity, undefined)
    assert.is(endpoint?.transportPort, undefined)
  })
}

test('what the redirect rules were told counts before annotation and defaults', () => {
  const object = webPod({ annotations: { 'config.linkerd.io/skip-inbound-ports': '8080' } })
  const spec = object.spec as { initContainers: unknown[] }
  spec.initContainers.push({
    name: 'linkerd-init',
    args: ['redirect', '--inbound-ports-to-ignore', '4190,4191'],
  })
  const [endpoint] = endpointsOf(cluster(service('web'), webSlice, object))
  assert.ok(endpoint?.identity)
})

test('opaque ports: a Server’s protocol, else the annotation, else the defaults', () => {
  const opaque8080 = { annotations: { 'config.linkerd.io/opaque-ports': '8080' } }
  const named = {
    annotations: { 'config.linkerd.io/opaque-ports': 'sql' },
    ports: [{ name: 'sql', containerPort: 8080 }],
  }
  const selected = (proxyProtocol: string) => server('s', { podSelector: {}, port: 8080, proxyProtocol })
  assert.is(onlyEndpoint().protocol, 'h2')
  assert.is(onlyEndpoint(opaque8080).protocol, 'opaque')
  assert.is(onlyEndpoint(named).protocol, 'opaque')
  assert.is(onlyEndpoint({}, { defaultOpaquePorts: parsePortSet('8080') }).protocol, 'opaque')
  const none = { annotations: { 'config.linkerd.io/opaque-ports': '' } }
  assert.is(onlyEndpoint(none, { defaultOpaquePorts: parsePortSet('8080') }).protocol, 'h2')
  assert.is(onlyEndpoint({}, {}, selected('opaque')).protocol, 'opaque')
  assert.is(onlyEndpoint(opaque8080, {}, selected('HTTP/1')).protocol, 'h2')
  assert.is(onlyEndpoint(opaque8080, {}, selected('unknown')).protocol, 'opaque')
  assert.is(onlyEndpoint({}, { isH2UpgradeEnabled: false }).protocol, undefined)
})

test('the workload is named, not what stands between it and the pod', () => {
  const state = cluster(service('web'), webSlice, webPod({ owner: { kind: 'ReplicaSet', name: 'web-7d9' } }))
  const labels = () => endpointsOf(state)[0]?.labels
  assert.is(labels()?.replicaset, 'web-7d9')
  state.replicaSets.set(
    'shop/web-7d9',
    readIntermediate({
      metadata: {
        name: 'web-7d9',
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'u', controller: true },
        ],
      },
    }),
  )
  assert.is(labels()?.deployment, 'web')
  assert.is(labels()?.replicaset, undefined)
})

test('ports are found by their names in the slice, whatever their numbers', () => {
  const state = cluster(
    service('web', {
      ports: [
        { name: 'http', port: 80, targetPort: 'web' },
        { name: 'admin', port: 81, targetPort: 9090 },
      ],
    }),
    slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }], {
      name: 'web-a',
      ports: [
        { name: 'http', port: 8080 },
        { name: 'admin', port: 9090 },
      ],
    }),
    // Pods of the next version call another port "web".
    slice('web', [{ pod: 'web-2', ip: '10.244.0.6' }], {
      name: 'web-b',
      ports: [{ name: 'http', port: 8181 }],
    }),
    webPod(),
    pod('web-2', { ip: '10.244.0.6' }),
  )
  assert.equal(addresses(endpointsOf(state)), ['10.244.0.5:8080', '10.244.0.6:8181'])
  assert.equal(addresses(endpointsOf(state, { port: 81 })), ['10.244.0.5:9090'])
  assert.equal(endpointsOf(state, { port: 82 }), [])
})

test('a headless Service has its pods on any port, and each of them by name', () => {
  const state = cluster(
    service('web', { clusterIp: 'None', ports: [] }),
    slice(
      'web',
      [
        { pod: 'web-1', ip: '10.244.0.5', hostname: 'web-1' },
        { pod: 'web-2', ip: '10.244.0.6', hostname: 'web-2' },
      ],
      { ports: [] },
    ),
    webPod(),
    pod('web-2', { ip: '10.244.0.6' }),
  )
  assert.equal(addresses(endpointsOf(state, { port: 7000 })), ['10.244.0.5:7000', '10.244.0.6:7000'])
  assert.equal(addresses(endpointsOf(state, { port: 7000, instance: 'web-2' })), ['10.244.0.6:7000'])
  assert.equal(endpointsOf(state, { port: 7000, instance: 'web-3' }), [])
})

test('only what is ready, current and known counts', () => {
  const state = cluster(
    service('web'),
    slice('web', [
      { pod: 'web-1', ip: '10.244.0.5' },
      { pod: 'unready', ip: '10.244.0.6', ready: false },
      { pod: 'unknown', ip: '10.244.0.7' },
      { pod: 'ended', ip: '10.244.0.8' },
      { pod: 'restarted', ip: '10.244.0.9' },
      { ip: '192.0.2.1' },
    ]),
    webPod(),
    pod('unready', { ip: '10.244.0.6' }),
    pod('ended', { ip: '10.244.0.8', phase: 'Failed' }),
    pod('restarted', { ip: '10.244.0.99' }),
  )
  assert.equal(addresses(endpointsOf(state)), ['10.244.0.5:8080', '192.0.2.1:8080'])
})

test('a dual-stack pod counts once, by the Service’s first family, else by what it has', () => {
  const ips = ['10.244.0.5', 'fd00::5']
  const both = (families: string[]) =>
    cluster(
      service('web', { spec: { ipFamilies: families } }),
      slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }], { name: 'web-v4' }),
      slice(
        'web',
        [
          { pod: 'web-1', ip: 'FD00:0::5' },
          { pod: 'six', ip: 'fd00::6' },
        ],
        { name: 'web-v6' },
      ),
      webPod({ ips }),
      pod('six', { ip: 'fd00::6' }),
    )
  assert.equal(addresses(endpointsOf(both(['IPv4', 'IPv6']))), ['10.244.0.5:8080', '[fd00::6]:8080'])
  assert.equal(addresses(endpointsOf(both(['IPv6', 'IPv4']))), ['[fd00::5]:8080', '[fd00::6]:8080'])
  assert.equal(addresses(endpointsOf(both(['IPv6', 'IPv4']), {}, { isIpv6Enabled: false })), [
    '10.244.0.5:8080',
  ])
})

const zoned = (hints: (string[] | undefined)[]) =>
  cluster(
    node('node-a', 'a'),
    node('node-b', 'b'),
    service('web'),
    slice(
      'web',
      hints.map((each, place) => ({
        pod: `web-${place}`,
        ip: `10.244.0.${place}`,
        ...(place === 0 ? { zone: 'a', node: 'node-a' } : { zone: 'b', node: 'node-b' }),
        ...(each === undefined ? {} : { hints: each }),
      })),
    ),
    ...hints.map((_, place) => pod(`web-${place}`, { ip: `10.244.0.${place}` })),
  )

test('zone hints count where every endpoint has one, and never until nothing is left', () => {
  const hinted = zoned([['a'], ['b']])
  assert.equal(addresses(endpointsOf(hinted, { node: 'node-a' })), ['10.244.0.0:8080'])
  assert.equal(addresses(endpointsOf(hinted, { node: 'node-b' })), ['10.244.0.1:8080'])
  assert.is(endpointsOf(hinted, { node: 'node-c' }).length, 2)
  assert.is(endpointsOf(hinted).length, 2)
  assert.is(endpointsOf(zoned([['a'], undefined]), { node: 'node-a' }).length, 2)
  assert.is(endpointsOf(zoned([['b'], ['b']]), { node: 'node-a' }).length, 2)
})

test('zones are told as labels, from the client’s point of view', () => {
  const byZone = (query: Partial<EndpointQuery>) =>
    Object.fromEntries(
      endpointsOf(zoned([undefined, undefined]), query).map(({ labels }) => [
        labels.zone,
        labels.zone_locality,
      ]),
    )
  assert.equal(byZone({ node: 'node-a' }), { a: 'local', b: 'remote' })
  assert.equal(byZone({}), { a: 'unknown', b: 'unknown' })
  assert.is(onlyEndpoint().labels.zone_locality, 'unknown')
})

test('internalTrafficPolicy Local keeps traffic on the client’s node', () => {
  const state = zoned([undefined, undefined])
  put(state, service('web', { spec: { internalTrafficPolicy: 'Local' } }))
  assert.equal(addresses(endpointsOf(state, { node: 'node-b' })), ['10.244.0.1:8080'])
  assert.equal(endpointsOf(state, { node: 'node-c' }), [])
  assert.equal(endpointsOf(state), [])
})

test('a multicluster gateway stands for the far service', () => {
  const annotations = {
    'mirror.linkerd.io/remote-gateway-identity': 'gateway.far',
    'mirror.linkerd.io/remote-svc-fq-name': 'web.shop.svc.far.local',
  }
  const state = cluster(
    service('web'),
    slice('web', [{ ip: '203.0.113.1' }], { annotations, ports: [{ name: '', port: 4143 }] }),
  )
  const [endpoint] = endpointsOf(state)
  assert.is(endpoint?.identity, 'gateway.far')
  assert.is(endpoint?.authorityOverride, 'web.shop.svc.far.local:80')
  assert.is(endpoint?.transportPort, 4143)
})

test('a change costs what it touches: other slices and clients keep what they had', () => {
  const state = cluster(
    service('web'),
    slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }], { name: 'one' }),
    slice('web', [{ pod: 'web-2', ip: '10.244.0.6' }], { name: 'two' }),
    webPod(),
    pod('web-2', { ip: '10.244.0.6' }),
  )
  const discovery = new Discovery(state, defaults)
  const computed = discovery.endpoints({ namespace: 'shop', name: 'web', port: 80 })
  const chunks = () => {
    const resolution = computed.read(nobody)
    return resolution.kind === 'endpoints' ? resolution.snapshot.chunks : []
  }
  const before = chunks()
  put(state, pod('web-2', { ip: '10.244.0.6', serviceAccount: 'other' }))
  const after = chunks()
  assert.is(after[0], before[0])
  assert.is.not(after[1], before[1])
  put(state, pod('stranger', { ip: '10.244.0.7' }))
  assert.is(chunks(), after)
})

test.run()
