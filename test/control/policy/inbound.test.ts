import { Code, ConnectError } from '@connectrpc/connect'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { KubeError } from '../../../src/runtime/kube/types.ts'
import type { Authz, Server } from '../../../src/runtime/proto/gen/io/linkerd/proxy/inbound_pb.js'
import { pod, putWeb } from '../../support/cluster-objects.ts'
import {
  type DestinationUnderTest,
  hurriedClock,
  Reader,
  startDestination,
} from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import {
  authorizationPolicy,
  meshTlsRef,
  networkRef,
  policyObject,
  server,
  webServerRef,
} from '../../support/policy-objects.ts'

interface Context {
  kube: FakeKube
  control: DestinationUnderTest
  readers: Reader<unknown>[]
}

const test = suite<Context>('control/policy: inbound')
const workload = '{"ns":"shop","pod":"web-1"}'

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

function watch({ control, readers }: Context, port: number): Reader<Server> {
  const reader = new Reader((options) => control.inbound.watchPort({ workload, port }, options))
  readers.push(reader)
  return reader
}

/** `identities` and `suffixes` of what an authorization asks for. */
function clientsOf(authz: Authz | undefined): unknown {
  const permit = authz?.authentication?.permit
  if (permit?.case !== 'meshTLS') return permit?.case
  const { clients } = permit.value
  if (clients.case !== 'identities') return clients.case
  return {
    names: clients.value.identities.map(({ name }) => name),
    suffixes: clients.value.suffixes.map(({ parts }) => parts),
  }
}

/** Whether a Server is in force, and somebody may come in. */
function isAuthorised({ labels, authorizations }: Server): boolean {
  return labels.kind === 'server' && authorizations.length > 0
}

async function codeOf(answer: Promise<unknown>): Promise<Code> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error === undefined) throw new Error('an error was expected')
  return ConnectError.from(error).code
}

test('without a Server the default policy holds, and the protocol is detected', async ({ control }) => {
  const answer = await control.inbound.getPort({ workload, port: 8080 })
  assert.equal(answer.labels, { group: '', kind: 'default', name: 'all-unauthenticated' })
  assert.is(answer.protocol?.kind.case, 'detect')
  assert.is(answer.authorizations.length, 1)
  assert.is(clientsOf(answer.authorizations[0]), 'unauthenticated')
  assert.is(answer.authorizations[0]?.networks.length, 2)
})

test('the pod’s annotation comes before what its proxy was told, and an unknown mode denies', async ({
  control,
  kube,
}) => {
  const annotated = (mode: string) => ({ 'config.linkerd.io/default-inbound-policy': mode })
  const proxyEnv = { INBOUND_DEFAULT_POLICY: 'all-authenticated' }
  kube.put(
    resources.pods,
    pod('told', { proxyEnv }),
    pod('annotated', { proxyEnv, annotations: annotated('cluster-unauthenticated') }),
    pod('denied', { annotations: annotated('deny') }),
    pod('misspelt', { annotations: annotated('all-unauthentcated') }),
  )
  const get = (name: string) => control.inbound.getPort({ workload: `shop:${name}`, port: 8080 })
  assert.equal(clientsOf((await get('told')).authorizations[0]), { names: [], suffixes: [[]] })
  assert.is((await get('annotated')).labels.name, 'cluster-unauthenticated')
  assert.is((await get('annotated')).authorizations[0]?.networks.length, 5)
  assert.equal((await get('denied')).authorizations, [])
  assert.equal((await get('misspelt')).authorizations, [])
})

test('ports that require an identity get the authenticated variant', async ({ control, kube }) => {
  kube.put(resources.pods, pod('strict', { proxyEnv: { INBOUND_PORTS_REQUIRE_IDENTITY: '8443,9000-9010' } }))
  const get = (port: number) => control.inbound.getPort({ workload: 'shop:strict', port })
  assert.is((await get(9005)).labels.name, 'all-authenticated')
  assert.is((await get(9011)).labels.name, 'all-unauthenticated')
})

test('opaque ports are opaque', async ({ control, kube }) => {
  const annotations = { 'config.linkerd.io/opaque-ports': '8080,9000-9001' }
  kube.put(resources.pods, pod('db', { annotations }))
  const kindOf = async (port: number) =>
    (await control.inbound.getPort({ workload: 'shop:db', port })).protocol?.kind.case
  assert.is(await kindOf(9001), 'opaque')
  assert.is(await kindOf(3306), 'detect')
  assert.is((await control.inbound.getPort({ workload, port: 3306 })).protocol?.kind.case, 'opaque')
})

test('HTTP probes are admitted on their paths whatever the policy says', async ({ control, kube }) => {
  const container = {
    livenessProbe: { httpGet: { path: '/live?full=1', port: 8080 } },
    readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
    startupProbe: { tcpSocket: { port: 8080 } },
  }
  const ports = [{ name: 'http', containerPort: 8080 }]
  const annotations = { 'config.linkerd.io/default-inbound-policy': 'deny' }
  kube.put(resources.pods, pod('probed', { container, ports, annotations }))
  const answer = await control.inbound.getPort({ workload: 'shop:probed', port: 8080 })
  const kind = answer.protocol?.kind
  const routes = kind?.case === 'detect' ? kind.value.httpRoutes : []
  const [probe, everything] = routes
  assert.is(probe?.metadata?.kind.value, 'probe')
  assert.equal(
    probe?.rules.flatMap(({ matches }) => matches.map(({ path }) => path?.kind)),
    [
      { case: 'exact', value: '/live' },
      { case: 'exact', value: '/ready' },
    ],
  )
  assert.ok(probe?.rules[0]?.matches.every(({ method }) => method?.type.case === 'registered'))
  assert.is(clientsOf(probe?.authorizations[0]), 'unauthenticated')
  assert.equal(everything?.authorizations, [])
  assert.equal(answer.authorizations, [])
})

test('a Server denies until somebody is authorised, and what it says is undone when it goes', async (context) => {
  const reader = watch(context, 8080)
  assert.is((await reader.next()).labels.name, 'all-unauthenticated')
  context.kube.put(resources.servers, server('web-http'))
  const denied = await reader.next()
  assert.equal(denied.labels, { group: 'policy.linkerd.io', kind: 'server', name: 'web-http' })
  assert.is(denied.protocol?.kind.case, 'http1')
  assert.equal(denied.authorizations, [])

  context.kube.put(
    resources.meshTLSAuthentications,
    policyObject('friends', { identities: ['*.ns.x', 'a.b'] }),
  )
  context.kube.put(
    resources.authorizationPolicies,
    authorizationPolicy('friends-only', webServerRef, [meshTlsRef('friends')]),
  )
  const authorised = await reader.until(isAuthorised)
  assert.equal(clientsOf(authorised.authorizations[0]), { names: ['a.b'], suffixes: [['ns', 'x']] })
  assert.equal(authorised.authorizations[0]?.labels, {
    group: 'policy.linkerd.io',
    kind: 'authorizationpolicy',
    name: 'friends-only',
  })

  await context.kube.remove(resources.servers, 'web-http', 'shop')
  assert.is(
    (await reader.until(({ labels }) => labels.kind === 'default')).labels.name,
    'all-unauthenticated',
  )
})

test('of several Servers the oldest decides, then the first by name', async ({ control, kube }) => {
  const nameOf = async () => (await control.inbound.getPort({ workload, port: 8080 })).labels.name
  kube.put(
    resources.servers,
    server('b', {}, '2026-01-02T00:00:00Z'),
    server('c', {}, '2026-01-02T00:00:00Z'),
  )
  await until(async () => (await nameOf()) === 'b')
  kube.put(resources.servers, server('z', {}, '2026-01-01T00:00:00Z'))
  await until(async () => (await nameOf()) === 'z')
})

test('authorizations add up: policies of the Server, of its namespace, and its access policy', async (context) => {
  const { kube } = context
  kube.put(resources.servers, server('web-http', { accessPolicy: 'cluster-authenticated' }))
  kube.put(
    resources.networkAuthentications,
    policyObject('lan', { networks: [{ cidr: '10.1.2.3/16', except: ['10.1.9.0/24'] }] }),
  )
  const wholeNamespace = { kind: 'Namespace', name: 'shop' }
  const account = { kind: 'ServiceAccount', name: 'cart' }
  kube.put(
    resources.authorizationPolicies,
    authorizationPolicy('by-network', webServerRef, [networkRef('lan')]),
    authorizationPolicy('by-account', wholeNamespace, [account]),
    authorizationPolicy('open', webServerRef, []),
  )
  const answer = await watch(context, 8080).until(({ authorizations }) => authorizations.length === 4)
  const named = new Map(answer.authorizations.map((authz) => [authz.labels.name, authz]))
  const lan = named.get('by-network')
  assert.is(clientsOf(lan), 'unauthenticated')
  assert.equal(lan?.networks[0]?.net?.ip?.ip, { case: 'ipv4', value: 0x0a010000 })
  assert.is(lan?.networks[0]?.except[0]?.prefixLen, 24)
  assert.equal(clientsOf(named.get('by-account')), {
    names: ['cart.shop.serviceaccount.identity.linkerd.cluster.local'],
    suffixes: [],
  })
  assert.is(clientsOf(named.get('open')), 'unauthenticated')
  assert.equal(clientsOf(named.get('cluster-authenticated')), { names: [], suffixes: [[]] })
})

test('a reference that dangles, or that cannot be read, admits nobody', async (context) => {
  const { kube } = context
  kube.put(resources.servers, server('web-http'))
  kube.put(resources.networkAuthentications, policyObject('wrong', { networks: [{ cidr: '10.0.0.0/99' }] }))
  kube.put(
    resources.networkAuthentications,
    policyObject('wrong-exception', { networks: [{ cidr: '10.0.0.0/8', except: ['ten'] }] }),
  )
  kube.put(resources.meshTLSAuthentications, policyObject('nobody', { identities: [] }))
  kube.put(
    resources.authorizationPolicies,
    authorizationPolicy('dangling', webServerRef, [meshTlsRef('missing')]),
    authorizationPolicy('half-dangling', webServerRef, [
      networkRef('missing'),
      { kind: 'ServiceAccount', name: 'a' },
    ]),
    authorizationPolicy('unreadable', webServerRef, [networkRef('wrong')]),
    authorizationPolicy('unreadable-exception', webServerRef, [networkRef('wrong-exception')]),
    authorizationPolicy('empty', webServerRef, [meshTlsRef('nobody')]),
    authorizationPolicy('unknown-kind', webServerRef, [{ group: 'x', kind: 'Y', name: 'z' }]),
    authorizationPolicy('of-another', { ...webServerRef, namespace: 'other' }, []),
    policyObject('without-list', { targetRef: webServerRef }),
  )
  kube.put(
    resources.authorizationPolicies,
    authorizationPolicy('zz-last', webServerRef, [{ kind: 'ServiceAccount', name: 'cart' }]),
  )
  const answer = await watch(context, 8080).until(isAuthorised)
  assert.equal(
    answer.authorizations.map(({ labels }) => labels.name),
    ['zz-last'],
  )
})

test('a namespace reference stands for every account in it', async (context) => {
  const { kube } = context
  kube.put(resources.servers, server('web-http'))
  kube.put(
    resources.meshTLSAuthentications,
    policyObject('friends', { identityRefs: [{ kind: 'Namespace', name: 'office' }] }),
  )
  kube.put(
    resources.authorizationPolicies,
    authorizationPolicy('friends-only', webServerRef, [meshTlsRef('friends')]),
  )
  const answer = await watch(context, 8080).until(isAuthorised)
  assert.equal(clientsOf(answer.authorizations[0]), {
    names: [],
    suffixes: [['office', 'serviceaccount', 'identity', 'linkerd', 'cluster', 'local']],
  })
})

test('errors have the codes that proxies act on', async ({ control, kube }) => {
  kube.put(resources.pods, pod('plain', { isMeshed: false }))
  const get = (text: string, port: number) => codeOf(control.inbound.getPort({ workload: text, port }))
  assert.is(await get('shop:nobody', 80), Code.NotFound)
  assert.is(await get('shop:plain', 80), Code.NotFound)
  assert.is(await get('shop:web-1', 0), Code.InvalidArgument)
  assert.is(await get('shop:web-1', 65_536), Code.InvalidArgument)
  assert.is(await get('nonsense', 80), Code.InvalidArgument)
  assert.is(await get('{"pod":"web-1"}', 80), Code.InvalidArgument)
})

test('a kind that is not installed yet means the default, and its watch goes on', async () => {
  const kube = new FakeKube()
  putWeb(kube)
  for (const kind of ['servers', 'authorizationpolicies']) kube.missingKinds.add(kind)
  const control = await startDestination(kube)
  const answer = await control.inbound.getPort({ workload, port: 8080 })
  assert.is(answer.labels.name, 'all-unauthenticated')
  await control.close()
})

test('a Server stays known while the API server denies that there are Servers', async () => {
  const kube = new FakeKube()
  putWeb(kube)
  kube.put(resources.servers, server('web-http'))
  kube.put(resources.customResourceDefinitions, { metadata: { name: 'servers.policy.linkerd.io' } })
  const control = await startDestination(kube, [], hurriedClock)
  const nameOf = async () => (await control.inbound.getPort({ workload, port: 8080 })).labels.name
  assert.is(await nameOf(), 'web-http')

  let isListed = false
  kube.onCall = (verb, resource) => {
    if (verb === 'list' && resource.plural === 'servers') isListed = true
  }
  kube.missingKinds.add('servers')
  kube.breakWatches(new KubeError(500, 'InternalError', 'restarting'))
  await until(async () => isListed)
  assert.is(await nameOf(), 'web-http')

  // The CRD itself is gone: its objects went with it.
  await kube.remove(resources.customResourceDefinitions, 'servers.policy.linkerd.io')
  await until(async () => (await nameOf()) === 'all-unauthenticated')
  await control.close()
})

/** Asks until it is so, or fails after ten seconds. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 10_000
  while (!(await isSo())) {
    if (Date.now() > deadlineMs) throw new Error('it never came to be')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test.run()
