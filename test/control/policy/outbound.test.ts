import { Code, ConnectError } from '@connectrpc/connect'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ipToWire, parseIp } from '../../../src/runtime/control/cluster/ip.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type {
  HttpRoute_Distribution,
  OpaqueRoute_Distribution,
  OutboundPolicy,
} from '../../../src/runtime/proto/gen/io/linkerd/proxy/outbound_pb.js'
import { putWeb, service } from '../../support/cluster-objects.ts'
import { type DestinationUnderTest, Reader, startDestination } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'

interface Context {
  kube: FakeKube
  control: DestinationUnderTest
  readers: Reader<unknown>[]
}

const test = suite<Context>('control/policy: outbound')
const sourceWorkload = '{"ns":"shop","pod":"client"}'

test.before.each(async (context) => {
  context.kube = new FakeKube()
  putWeb(context.kube)
  context.control = await startDestination(context.kube)
  context.readers = []
})

test.after.each(async ({ control, readers }) => {
  await Promise.all(readers.map((reader) => reader.close()))
  await control.close()
})

function get({ control }: Context, target: string, port?: number): Promise<OutboundPolicy> {
  if (port === undefined) {
    return control.outbound.get({ sourceWorkload, target: { case: 'authority', value: target } })
  }
  const ip = parseIp(target)
  const addr = { port, ...(ip === undefined ? {} : { ip: ipToWire(ip) }) }
  return control.outbound.get({ sourceWorkload, target: { case: 'addr', value: addr } })
}

/** Path, queue and load of the one backend of a distribution. */
function onlyBackend(distribution: HttpRoute_Distribution | OpaqueRoute_Distribution | undefined) {
  const kind = distribution?.kind
  if (kind?.case !== 'firstAvailable') throw new Error(`first available was expected, not ${kind?.case}`)
  return kind.value.backends[0]?.backend
}

async function codeOf(answer: Promise<unknown>): Promise<Code> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error === undefined) throw new Error('an error was expected')
  return ConnectError.from(error).code
}

test('a ClusterIP leads to its Service, with all that receivers need', async (context) => {
  const policy = await get(context, '10.96.0.20', 80)
  assert.equal(policy.metadata?.kind.value, {
    $typeName: 'io.linkerd.proxy.meta.Resource',
    group: 'core',
    kind: 'Service',
    name: 'web',
    namespace: 'shop',
    section: '',
    port: 80,
  })
  const kind = policy.protocol?.kind
  if (kind?.case !== 'detect') throw new Error('detection was expected')
  const { timeout, opaque, http1, http2 } = kind.value
  assert.is(timeout?.seconds, 10n)
  for (const distribution of [
    opaque?.routes[0]?.rules[0]?.backends,
    http1?.routes[0]?.rules[0]?.backends,
    http2?.routes[0]?.rules[0]?.backends,
  ]) {
    const backend = onlyBackend(distribution)
    assert.is(backend?.queue?.capacity, 100)
    assert.is(backend?.queue?.failfastTimeout?.seconds, 3n)
    const balancer = backend?.kind.case === 'balancer' ? backend.kind.value : undefined
    assert.is(balancer?.load.case, 'peakEwma')
    const discovery = balancer?.discovery?.kind
    assert.is(discovery?.case === 'dst' && discovery.value.path, 'web.shop.svc.cluster.local:80')
  }
  assert.is(http1?.routes[0]?.metadata?.kind.value, 'http')
  assert.is(opaque?.routes[0]?.metadata?.kind.value, 'opaq')
})

test('a name leads where its address does', async (context) => {
  assert.equal(await get(context, 'web.shop.svc.cluster.local'), await get(context, '10.96.0.20', 80))
})

test('appProtocol decides before the opaque ports, and an unknown one is not looked into', async (context) => {
  const annotations = { 'config.linkerd.io/opaque-ports': '81,82' }
  const ports = [
    { name: 'plain', port: 80 },
    { name: 'opaque', port: 81 },
    { name: 'http', port: 82, appProtocol: 'http' },
    { name: 'h2', port: 83, appProtocol: 'kubernetes.io/h2c' },
    { name: 'tcp', port: 84, appProtocol: 'linkerd.io/tcp' },
    { name: 'odd', port: 85, appProtocol: 'smoke-signals' },
    { name: 'mysql', port: 3306 },
  ]
  context.kube.put(resources.services, service('many', { clusterIp: '10.96.0.30', ports, annotations }))
  context.kube.put(
    resources.services,
    service('db', { clusterIp: '10.96.0.31', ports: [{ port: 3306 }], annotations: {} }),
  )
  await waitFor(context, '10.96.0.31', 3306)
  const caseOf = async (ip: string, port: number) => (await get(context, ip, port)).protocol?.kind.case
  assert.is(await caseOf('10.96.0.30', 80), 'detect')
  assert.is(await caseOf('10.96.0.30', 81), 'opaque')
  assert.is(await caseOf('10.96.0.30', 82), 'http1')
  assert.is(await caseOf('10.96.0.30', 83), 'http2')
  assert.is(await caseOf('10.96.0.30', 84), 'opaque')
  assert.is(await caseOf('10.96.0.30', 85), 'opaque')
  assert.is(await caseOf('10.96.0.30', 3306), 'detect')
  assert.is(await caseOf('10.96.0.31', 3306), 'opaque')
})

test('a port that the Service does not have is forbidden', async (context) => {
  const kind = (await get(context, '10.96.0.20', 8081)).protocol?.kind
  if (kind?.case !== 'opaque') throw new Error('an opaque policy was expected')
  assert.is(kind.value.routes[0]?.rules[0]?.filters[0]?.kind.case, 'forbidden')
  assert.is(kind.value.routes[0]?.rules[0]?.backends?.kind.case, 'empty')
})

test('an address outside the cluster is forwarded to, IPv4 and IPv6', async (context) => {
  for (const ip of ['93.184.216.34', '2606:2800:220:1::1']) {
    const policy = await get(context, ip, 443)
    assert.is(policy.metadata?.kind.value, 'egress-fallback')
    const kind = policy.protocol?.kind
    const routes = kind?.case === 'detect' ? kind.value.opaque?.routes : []
    const backend = onlyBackend(routes?.[0]?.rules[0]?.backends)
    const forward = backend?.kind.case === 'forward' ? backend.kind.value : undefined
    assert.is(forward?.addr?.port, 443)
    assert.ok(backend?.queue)
  }
})

test('errors have the codes that proxies act on', async (context) => {
  const { control, kube } = context
  kube.put(
    resources.services,
    service('away', { spec: { type: 'ExternalName', externalName: 'example.com', clusterIP: '' } }),
  )
  assert.is(await codeOf(get(context, '10.244.9.9', 80)), Code.NotFound)
  assert.is(await codeOf(get(context, 'nobody.shop.svc.cluster.local')), Code.NotFound)
  assert.is(await codeOf(get(context, 'away.shop.svc.cluster.local')), Code.InvalidArgument)
  assert.is(await codeOf(get(context, 'example.com:80')), Code.InvalidArgument)
  assert.is(await codeOf(get(context, '10.96.0.20', 0)), Code.InvalidArgument)
  assert.is(
    await codeOf(control.outbound.get({ sourceWorkload, target: { case: undefined } })),
    Code.InvalidArgument,
  )
  const target = { case: 'authority' as const, value: 'web.shop.svc.cluster.local' }
  assert.is(await codeOf(control.outbound.get({ sourceWorkload: '', target })), Code.InvalidArgument)
})

test('a watch tells of changes, and ends when the Service goes', async ({ control, kube, readers }) => {
  const target = { case: 'authority' as const, value: 'web.shop.svc.cluster.local' }
  const reader = new Reader((options) => control.outbound.watch({ sourceWorkload, target }, options))
  readers.push(reader)
  assert.is((await reader.next()).protocol?.kind.case, 'detect')
  kube.put(resources.services, service('web', { ports: [{ port: 80, appProtocol: 'http' }] }))
  assert.is((await reader.next()).protocol?.kind.case, 'http1')
  await kube.remove(resources.services, 'web', 'shop')
  assert.is(await codeOf(reader.next()), Code.NotFound)
})

/** Waits until a Service that was just put is known. */
async function waitFor({ control }: Context, target: string, port: number): Promise<void> {
  const ip = parseIp(target)
  const addr = { port, ...(ip === undefined ? {} : { ip: ipToWire(ip) }) }
  const deadlineMs = Date.now() + 10_000
  for (;;) {
    const code = await control.outbound.get({ sourceWorkload, target: { case: 'addr', value: addr } }).then(
      () => undefined,
      (error: unknown) => ConnectError.from(error).code,
    )
    if (code === undefined) return
    if (code !== Code.NotFound || Date.now() > deadlineMs) throw new Error(`${target} stays unknown`)
  }
}

test.run()
