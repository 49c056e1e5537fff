import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Cluster, call, deployPeer, installMesh, podsOf, shown, startCluster, until } from './cluster.ts'

const test = suite('policy')

let cluster: Cluster
const pods: Record<string, string> = {}

test.before(
  shown(async () => {
    cluster = await startCluster('policy')
    await installMesh(cluster)
    const strict = { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' }
    await deployPeer(cluster, {
      namespace: 'app',
      name: 'strict',

      meshed: true,
      annotations: strict,
    })
    await deployPeer(cluster, { namespace: 'app', name: 'guarded', meshed: true })
    await deployPeer(cluster, { namespace: 'client', name: 'friend', meshed: true })
    await deployPeer(cluster, { namespace: 'client', name: 'stranger', meshed: true })
    await deployPeer(cluster, { namespace: 'client', name: 'plain', meshed: false })
    for (const name of ['friend', 'stranger', 'plain'])
      pods[name] = (await podsOf(cluster, 'client', name))[0] ?? ''
  }),
)

test.after(
  shown(async () => {
    await cluster?.stop()
  }),
)

function callAs(client: string, service: string, protocol: 'http1' | 'grpc' | 'tcp' | 'server-first') {
  const from = { namespace: 'client', pod: pods[client] ?? '' }
  return call(cluster, from, { host: `${service}.app.svc.cluster.local`, protocol })
}

test('where the default policy demands identity, a pod is ready: its probes are allowed', async () => {
  const ready = await cluster.mustKubectl([
    'get',
    'deploy',
    '-n',
    'app',
    'strict',
    '-o',
    'jsonpath={.status.readyReplicas}',
  ])
  assert.is(ready, '1')
})

test('where the default policy demands identity, a meshed client is served', async () => {
  for (const protocol of ['http1', 'grpc', 'tcp', 'server-first'] as const) {
    const result = await callAs('friend', 'strict', protocol)
    assert.ok(result.ok, `${protocol}: ${JSON.stringify(result)}`)
  }
})

test('where the default policy demands identity, a client without one is refused and told the code', async () => {
  const overHttp = await callAs('plain', 'strict', 'http1')
  assert.is(overHttp.status, 403)
  assert.match(String(overHttp.headers?.['l5d-proxy-error']), /MESH_PROXY_/)
  const overTcp = await callAs('plain', 'strict', 'tcp')
  assert.not.ok(overTcp.ok)
})

const policy = `
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: { namespace: app, name: guarded-http }
spec:
  podSelector: { matchLabels: { app: guarded } }
  port: http1
  proxyProtocol: HTTP/1
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: { namespace: app, name: friends }
spec:
  identityRefs: [{ kind: ServiceAccount, name: friend, namespace: client }]
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: { namespace: app, name: guarded-friends }
spec:
  targetRef: { group: policy.linkerd.io, kind: Server, name: guarded-http }
  requiredAuthenticationRefs: [{ group: policy.linkerd.io, kind: MeshTLSAuthentication, name: friends }]
`

test('an AuthorizationPolicy lets in whom it names, and nobody else', async () => {
  assert.is((await callAs('stranger', 'guarded', 'http1')).status, 200, 'open before the policy')
  await cluster.mustKubectl(['apply', '-f', '-'], policy)
  await until('the stranger is refused', async () => {
    const result = await callAs('stranger', 'guarded', 'http1')
    return result.status === 403 ? true : undefined
  })
  assert.is((await callAs('friend', 'guarded', 'http1')).status, 200)
  assert.is((await callAs('plain', 'guarded', 'http1')).status, 403)
  assert.is((await callAs('stranger', 'guarded', 'tcp')).ok, true, 'other ports keep the default policy')
})

test('a reference that dangles widens nothing', async () => {
  await cluster.mustKubectl(['delete', 'meshtlsauthentication', '-n', 'app', 'friends'])
  await until('the friend is refused', async () => {
    const result = await callAs('friend', 'guarded', 'http1')
    return result.status === 403 ? true : undefined
  })
})

test('when the policy is gone, the default is back', async () => {
  await cluster.mustKubectl(['delete', 'authorizationpolicy', '-n', 'app', 'guarded-friends'])
  assert.is((await callAs('friend', 'guarded', 'http1')).status, 403, 'a Server without authorization denies')
  await cluster.mustKubectl(['delete', 'server', '-n', 'app', 'guarded-http'])
  await until('everybody is served', async () => {
    const result = await callAs('plain', 'guarded', 'http1')
    return result.status === 200 ? true : undefined
  })
})

test.run()
