import { Code, ConnectError } from '@connectrpc/connect'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { Update, WeightedAddr } from '../../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { pod, putWeb, service, slice } from '../../support/cluster-objects.ts'
import { type DestinationUnderTest, Reader, startDestination } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'

const test = suite<{ kube: FakeKube; control: DestinationUnderTest; readers: Reader<unknown>[] }>(
  'control/destination: Get',
)

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

type Context = { control: DestinationUnderTest; readers: Reader<unknown>[] }

function get({ control, readers }: Context, path: string, contextToken = ''): Reader<Update> {
  const reader = new Reader((options) => control.discovery.get({ path, contextToken }, options))
  readers.push(reader)
  return reader
}

function added(update: Update): WeightedAddr[] {
  if (update.update.case !== 'add') throw new Error(`an addition was expected, not ${update.update.case}`)
  return update.update.value.addrs
}

async function codeOf(reader: Reader<Update>): Promise<Code> {
  try {
    await reader.next()
  } catch (error) {
    return ConnectError.from(error).code
  }
  throw new Error('an error was expected')
}

test('describes a meshed pod behind a Service', async (context) => {
  const token = '{"ns":"shop","nodeName":"node-1","pod":"client"}'
  const update = await get(context, 'web.shop.svc.cluster.local:80', token).next()
  const [address] = added(update)
  const identity = 'web.shop.serviceaccount.identity.linkerd.cluster.local'
  assert.is(update.update.case === 'add' && update.update.value.metricLabels.service, 'web')
  assert.is(update.update.case === 'add' && update.update.value.metricLabels.namespace, 'shop')
  assert.is(address?.addr?.port, 8080)
  assert.equal(address?.addr?.ip?.ip, { case: 'ipv4', value: 0x0af40005 })
  assert.is(address?.weight, 10_000)
  assert.equal(address?.metricLabels, {
    pod: 'web-1',
    deployment: 'web',
    serviceaccount: 'web',
    control_plane_ns: 'linkerd',
    pod_template_hash: '7d9',
    zone: 'zone-a',
    zone_locality: 'local',
  })
  const expected = { $typeName: 'io.linkerd.proxy.destination.TlsIdentity.DnsLikeIdentity', name: identity }
  assert.equal(address?.tlsIdentity?.strategy, { case: 'dnsLikeIdentity', value: expected })
  assert.is(address?.tlsIdentity?.serverName?.name, identity)
  assert.is(address?.protocolHint?.protocol.case, 'h2')
  assert.is(address?.protocolHint?.opaqueTransport?.inboundPort, 4143)
})

test('a change of endpoints is told as additions and removals', async (context) => {
  const reader = get(context, 'web.shop.svc.cluster.local')
  added(await reader.next())
  context.kube.put(resources.pods, pod('web-2', { ip: '10.244.0.6' }))
  context.kube.put(resources.endpointSlices, slice('web', [{ pod: 'web-2', ip: '10.244.0.6' }]))
  const [address] = added(await reader.next())
  assert.is(address?.metricLabels.pod, 'web-2')
  const removal = await reader.next()
  assert.is(removal.update.case, 'remove')
})

test('says that there is nobody, and that somebody came back', async (context) => {
  const reader = get(context, 'web.shop.svc.cluster.local')
  added(await reader.next())
  context.kube.put(resources.endpointSlices, slice('web', [{ pod: 'web-1', ip: '10.244.0.5', ready: false }]))
  assert.is((await reader.next()).update.case, 'remove')
  assert.equal((await reader.next()).update.value, {
    $typeName: 'io.linkerd.proxy.destination.NoEndpoints',
    exists: true,
  })
  context.kube.put(resources.endpointSlices, slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }]))
  assert.is(added(await reader.next()).length, 1)
})

test('errors have the codes that proxies act on', async (context) => {
  context.kube.put(
    resources.services,
    service('away', { spec: { type: 'ExternalName', externalName: 'example.com', clusterIP: '' } }),
  )
  assert.is(await codeOf(get(context, '10.96.0.20:80')), Code.InvalidArgument)
  assert.is(await codeOf(get(context, 'example.com:80')), Code.InvalidArgument)
  assert.is(await codeOf(get(context, 'web.shop.svc.cluster.local:0')), Code.InvalidArgument)
  assert.is(await codeOf(get(context, 'away.shop.svc.cluster.local')), Code.InvalidArgument)
  assert.is(await codeOf(get(context, 'nobody.shop.svc.cluster.local')), Code.NotFound)
})

test.run()
