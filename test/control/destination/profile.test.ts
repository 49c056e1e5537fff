import { Code, ConnectError } from '@connectrpc/connect'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { DestinationProfile } from '../../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { pod, putWeb, service, slice } from '../../support/cluster-objects.ts'
import { type DestinationUnderTest, Reader, startDestination } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { server } from '../../support/policy-objects.ts'

interface Context {
  kube: FakeKube
  control: DestinationUnderTest
  readers: Reader<unknown>[]
}

const test = suite<Context>('control/destination: GetProfile')

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

function profile({ control, readers }: Context, path: string): Reader<DestinationProfile> {
  const reader = new Reader((options) => control.discovery.getProfile({ path }, options))
  readers.push(reader)
  return reader
}

async function codeOf(reader: Reader<unknown>): Promise<Code> {
  try {
    await reader.next()
  } catch (error) {
    return ConnectError.from(error).code
  }
  throw new Error('an error was expected')
}

test('a ClusterIP and a name lead to the same Service', async (context) => {
  const byAddress = await profile(context, '10.96.0.20:80').next()
  assert.is(byAddress.fullyQualifiedName, 'web.shop.svc.cluster.local')
  assert.is(byAddress.endpoint, undefined)
  assert.not(byAddress.opaqueProtocol)
  assert.is(byAddress.retryBudget?.minRetriesPerSecond, 10)
  assert.is(byAddress.parentRef?.kind.case, 'resource')
  assert.equal(await profile(context, 'web.shop.svc.cluster.local:80').next(), byAddress)
})

test('a port that the Service does not have gives an empty profile', async (context) => {
  const empty = await profile(context, '10.96.0.20:81').next()
  assert.is(empty.fullyQualifiedName, '')
  assert.is(empty.endpoint, undefined)
  assert.is(empty.retryBudget, undefined)
})

test('opaque ports of a Service come from its annotation, else from the defaults', async (context) => {
  const annotations = { 'config.linkerd.io/opaque-ports': '90,named' }
  const ports = [{ port: 90 }, { port: 91, name: 'named' }, { port: 3306, name: 'mysql' }]
  context.kube.put(resources.services, service('own', { clusterIp: '10.96.0.41', ports, annotations }))
  context.kube.put(resources.services, service('db', { clusterIp: '10.96.0.42', ports: [{ port: 3306 }] }))
  const isOpaque = async (path: string) =>
    (await profile(context, path).until(({ fullyQualifiedName }) => fullyQualifiedName !== '')).opaqueProtocol
  assert.ok(await isOpaque('10.96.0.42:3306'))
  assert.ok(await isOpaque('10.96.0.41:90'))
  assert.ok(await isOpaque('10.96.0.41:91'))
  assert.not(await isOpaque('10.96.0.41:3306'))
})

test('a pod’s address gives its endpoint, with its namespace among the labels', async (context) => {
  const { endpoint, fullyQualifiedName, opaqueProtocol } = await profile(context, '10.244.0.5:8080').next()
  assert.is(fullyQualifiedName, '')
  assert.not(opaqueProtocol)
  assert.is(endpoint?.metricLabels.pod, 'web-1')
  assert.is(endpoint?.metricLabels.namespace, 'shop')
  assert.is(endpoint?.metricLabels.deployment, 'web')
  assert.ok(endpoint?.tlsIdentity)
})

test('an endpoint’s profile follows the pod’s opaque ports and its Servers', async (context) => {
  const reader = profile(context, '10.244.0.5:8080')
  assert.not((await reader.next()).opaqueProtocol)
  context.kube.put(resources.servers, server('web-http', { proxyProtocol: 'opaque' }))
  const opaque = await reader.next()
  assert.ok(opaque.opaqueProtocol)
  assert.is(opaque.endpoint?.protocolHint?.protocol.case, 'opaque')
  assert.is(opaque.endpoint?.protocolHint?.opaqueTransport?.inboundPort, 4143)
  await context.kube.remove(resources.servers, 'web-http', 'shop')
  assert.not((await reader.next()).opaqueProtocol)
})

test('a host port leads to the pod behind it', async (context) => {
  const ports = [{ containerPort: 9000, hostPort: 19000 }]
  context.kube.put(resources.pods, pod('host', { ip: '10.244.0.77', hostIp: '192.168.0.7', ports }))
  const { endpoint } = await profile(context, '192.168.0.7:19000').until(
    (message) => message.endpoint?.metricLabels.pod === 'host',
  )
  assert.equal(endpoint?.addr?.ip?.ip, { case: 'ipv4', value: 0x0af4004d })
  assert.is(endpoint?.addr?.port, 9000)
})

test('an address that nobody has gives itself', async (context) => {
  const { endpoint, opaqueProtocol } = await profile(context, '203.0.113.9:6379').next()
  assert.is(endpoint?.addr?.port, 6379)
  assert.is(endpoint?.tlsIdentity, undefined)
  assert.equal(endpoint?.metricLabels, {})
  assert.ok(opaqueProtocol)
})

test('an address is followed from pod to pod', async (context) => {
  const reader = profile(context, '10.244.0.5:8080')
  assert.is((await reader.next()).endpoint?.metricLabels.pod, 'web-1')
  context.kube.put(resources.pods, pod('web-1', { ip: '10.244.0.5', phase: 'Succeeded' }))
  assert.equal((await reader.next()).endpoint?.metricLabels, {})
  context.kube.put(resources.pods, pod('web-2', { ip: '10.244.0.5' }))
  assert.is((await reader.next()).endpoint?.metricLabels.pod, 'web-2')
})

test('two running pods with one address are an error, not a choice', async (context) => {
  context.kube.put(resources.pods, pod('twin', { ip: '10.244.0.6' }), pod('other-twin', { ip: '10.244.0.6' }))
  const reader = profile(context, '10.244.0.6:80')
  await reader.next().then(
    // Both pods may not have arrived yet when the first answer was made.
    async () => assert.is(await codeOf(reader), Code.FailedPrecondition),
    (error: unknown) => assert.is(ConnectError.from(error).code, Code.FailedPrecondition),
  )
})

test('a pod of a StatefulSet is found by its name', async (context) => {
  const { kube } = context
  kube.put(resources.services, service('db', { clusterIp: 'None', ports: [{ port: 5432 }] }))
  kube.put(resources.pods, pod('db-0', { ip: '10.244.0.50' }), pod('db-1', { ip: '10.244.0.51' }))
  kube.put(
    resources.endpointSlices,
    slice(
      'db',
      [
        { pod: 'db-0', ip: '10.244.0.50', hostname: 'db-0' },
        { pod: 'db-1', ip: '10.244.0.51', hostname: 'db-1' },
      ],
      { ports: [{ name: '', port: 5432 }] },
    ),
  )
  const { endpoint, opaqueProtocol } = await profile(context, 'db-1.db.shop.svc.cluster.local:5432').until(
    (message) => message.endpoint !== undefined,
  )
  assert.is(endpoint?.metricLabels.pod, 'db-1')
  assert.is(endpoint?.addr?.port, 5432)
  assert.ok(opaqueProtocol)
})

test('errors have the codes that proxies act on', async (context) => {
  context.kube.put(
    resources.services,
    service('away', { spec: { type: 'ExternalName', externalName: 'example.com', clusterIP: '' } }),
  )
  assert.is(await codeOf(profile(context, 'example.com:80')), Code.InvalidArgument)
  assert.is(await codeOf(profile(context, 'a.b.c.d.svc.cluster.local:80')), Code.InvalidArgument)
  assert.is(await codeOf(profile(context, '10.0.0.1:99999')), Code.InvalidArgument)
  assert.is(await codeOf(profile(context, 'away.shop.svc.cluster.local:80')), Code.InvalidArgument)
})

test.run()
