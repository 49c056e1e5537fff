import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Attributes,
  type PolicyRule,
  ruleAllows,
} from '../../../src/runtime/local/apiserver/auth/rbac.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { startTestCluster, type TestCluster } from './support.ts'

const test = suite<{ cluster: TestCluster; clock: FakeClock }>('local/apiserver/auth')

test.before(async (context) => {
  context.clock = new FakeClock(Date.now())
  context.cluster = await startTestCluster({ clock: context.clock })
})

test.after(async ({ cluster }) => {
  await cluster.close()
})

const user = { name: 'u', groups: [] }
const getPods: Attributes = { user, verb: 'get', group: '', plural: 'pods', namespace: 'a', name: 'x' }

const rules: [rule: PolicyRule, attributes: Attributes, allowed: boolean][] = [
  [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }, getPods, true],
  [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, getPods, true],
  [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }, getPods, false],
  [{ verbs: ['get'], apiGroups: ['apps'], resources: ['pods'] }, getPods, false],
  [{ verbs: ['get'], apiGroups: [''], resources: ['pods/log'] }, getPods, false],
  [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }, { ...getPods, subresource: 'log' }, false],
  [{ verbs: ['get'], apiGroups: [''], resources: ['pods/log'] }, { ...getPods, subresource: 'log' }, true],
  [{ verbs: ['get'], apiGroups: [''], resources: ['*/log'] }, { ...getPods, subresource: 'log' }, true],
  [{ verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: ['x'] }, getPods, true],
  [{ verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: ['y'] }, getPods, false],
  [{ verbs: ['get'], nonResourceURLs: ['/api/*'] }, { user, verb: 'get', path: '/api/v1' }, true],
  [{ verbs: ['get'], nonResourceURLs: ['/api'] }, { user, verb: 'get', path: '/api/v1' }, false],
  [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { user, verb: 'get', path: '/api' }, false],
]

for (const [index, [rule, attributes, allowed]] of rules.entries()) {
  test(`rule ${index} ${allowed ? 'allows' : 'does not allow'}`, () => {
    assert.is(ruleAllows(rule, attributes), allowed)
  })
}

async function bind(
  cluster: TestCluster,
  name: string,
  roleRef: object,
  subjects: object[],
  namespace?: string,
) {
  const kind = namespace ? 'rolebindings' : 'clusterrolebindings'
  const where = namespace ? `/namespaces/${namespace}` : ''
  const path = `/apis/rbac.authorization.k8s.io/v1${where}/${kind}`
  const answer = await cluster.http('POST', path, { body: { metadata: { name }, roleRef, subjects } })
  assert.is(answer.status, 201, answer.text)
}

async function tokenOf(cluster: TestCluster, name: string, spec: object = {}): Promise<string> {
  await cluster.http('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name } } })
  const answer = await cluster.http('POST', `/api/v1/namespaces/default/serviceaccounts/${name}/token`, {
    body: { spec },
  })
  assert.is(answer.status, 201, answer.text)
  return String(answer.json.status.token)
}

async function review(cluster: TestCluster, token: string, audiences?: string[]) {
  const body = { spec: { token, ...(audiences ? { audiences } : {}) } }
  return (await cluster.http('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { body })).json.status
}

test('lets strangers see health, and nothing else', async ({ cluster }) => {
  assert.is((await cluster.http('GET', '/livez', { anonymous: true })).status, 200)
  const refused = await cluster.http('GET', '/api/v1/namespaces/default/secrets', { anonymous: true })
  assert.is(refused.status, 403)
  assert.is(
    refused.json.message,
    'secrets is forbidden: User "system:anonymous" cannot list resource "secrets" in API group "" in the namespace "default"',
  )
  assert.is((await cluster.http('GET', '/api', { anonymous: true })).status, 403)
})

test('answers 401 to a token that is wrong', async ({ cluster }) => {
  assert.is((await cluster.http('GET', '/api', { token: 'a.b.c' })).status, 401)
  const token = await tokenOf(cluster, 'forged')
  const [header, payload, signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
  const forged = Buffer.from(
    JSON.stringify({ ...claims, sub: 'system:serviceaccount:kube-system:x' }),
  ).toString('base64url')
  assert.is((await cluster.http('GET', '/api', { token: `${header}.${forged}.${signature}` })).status, 401)
  const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
  assert.is((await cluster.http('GET', '/api', { token: `${none}.${payload}.` })).status, 401)
})

test('lets a service account do what its bindings allow, where they allow it', async ({ cluster }) => {
  const token = await tokenOf(cluster, 'viewer')
  const list = (namespace: string, plural = 'pods') =>
    cluster.http('GET', `/api/v1/namespaces/${namespace}/${plural}`, { token })
  assert.is((await list('default')).status, 403)
  const subjects = [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'default' }]
  await bind(cluster, 'viewer', { kind: 'ClusterRole', name: 'view' }, subjects, 'default')
  assert.is((await list('default')).status, 200)
  assert.is((await list('default', 'secrets')).status, 403, 'view shows no secrets')
  assert.is((await list('kube-system')).status, 403)
  await bind(cluster, 'viewer', { kind: 'ClusterRole', name: 'view' }, subjects)
  assert.is((await list('kube-system')).status, 200)
})

test('aggregates cluster roles by their labels, at once', async ({ cluster }) => {
  const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }
  const rule = { verbs: ['get'], apiGroups: ['example.com'], resources: ['things'] }
  const body = { metadata: { name: 'things-view', labels }, rules: [rule] }
  const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
  await cluster.http('POST', path, { body })
  for (const name of ['view', 'edit', 'admin']) {
    const { json } = await cluster.http('GET', `${path}/${name}`)
    assert.ok(
      json.rules.some((item: PolicyRule) => item.resources?.includes('things')),
      name,
    )
  }
})

test('reviews tokens with their audiences', async ({ cluster }) => {
  const token = await tokenOf(cluster, 'reviewed', {
    audiences: ['identity.l5d.io'],
    expirationSeconds: 3600,
  })
  const good = await review(cluster, token, ['identity.l5d.io', 'other'])
  assert.is(good.authenticated, true)
  assert.is(good.user.username, 'system:serviceaccount:default:reviewed')
  assert.ok(good.user.groups.includes('system:serviceaccounts:default'))
  assert.equal(good.audiences, ['identity.l5d.io'])
  const bad = await review(cluster, token, ['other'])
  assert.is(bad.authenticated, false)
  assert.match(String(bad.error), 'audiences')
  assert.is((await cluster.http('GET', '/api', { token })).status, 401, 'not for the API server')
})

test('ends tokens with their time, their account and their pod', async ({ cluster, clock }) => {
  const pods = '/api/v1/namespaces/default/pods'
  const spec = { containers: [{ name: 'c', image: 'i' }] }
  const pod = await cluster.http('POST', pods, { body: { metadata: { name: 'bound' }, spec } })
  const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: pod.json.metadata.uid }
  const bound = await tokenOf(cluster, 'mortal', { boundObjectRef, expirationSeconds: 7200 })
  const free = await tokenOf(cluster, 'mortal', { expirationSeconds: 7200 })
  const short = await tokenOf(cluster, 'mortal', { expirationSeconds: 600 })
  assert.is((await review(cluster, bound)).user.extra['authentication.kubernetes.io/pod-name'][0], 'bound')
  await clock.advance(601_000)
  assert.match(String((await review(cluster, short)).error), 'expired')
  await cluster.http('DELETE', `${pods}/bound`)
  assert.match(String((await review(cluster, bound)).error), 'pod default/bound')
  assert.is((await review(cluster, free)).authenticated, true)
  await cluster.http('DELETE', '/api/v1/namespaces/default/serviceaccounts/mortal')
  assert.match(String((await review(cluster, free)).error), 'service account default/mortal')
})

test('refuses a token for a pod that is another by now', async ({ cluster }) => {
  const spec = { containers: [{ name: 'c', image: 'i' }] }
  await cluster.http('POST', '/api/v1/namespaces/default/pods', {
    body: { metadata: { name: 'again' }, spec },
  })
  const boundObjectRef = { kind: 'Pod', name: 'again', uid: 'another' }
  const path = '/api/v1/namespaces/default/serviceaccounts/default/token'
  assert.is((await cluster.http('POST', path, { body: { spec: { boundObjectRef } } })).status, 400)
})

test('answers access reviews', async ({ cluster }) => {
  const subject = { user: 'system:serviceaccount:default:reader' }
  const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
  const ask = async (resourceAttributes: object) =>
    (await cluster.http('POST', path, { body: { spec: { ...subject, resourceAttributes } } })).json.status
      .allowed
  assert.is(await ask({ verb: 'get', resource: 'pods', namespace: 'default' }), false)
  const subjects = [{ kind: 'ServiceAccount', name: 'reader', namespace: 'default' }]
  await bind(cluster, 'reader', { kind: 'ClusterRole', name: 'view' }, subjects, 'default')
  assert.is(await ask({ verb: 'get', resource: 'pods', namespace: 'default' }), true)
  assert.is(await ask({ verb: 'get', resource: 'pods', namespace: 'kube-system' }), false)
  const body = { spec: { resourceAttributes: { verb: 'delete', resource: 'nodes' } } }
  const self = await cluster.http('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body })
  assert.is(self.json.status.allowed, true)
  assert.is((await cluster.http('POST', path, { body: { spec: {} } })).status, 400)
})

test('publishes the keys of its tokens', async ({ cluster }) => {
  const { json } = await cluster.http('GET', '/openid/v1/jwks')
  assert.equal([json.keys[0].kty, json.keys[0].alg], ['EC', 'ES256'])
})

test('acts as another user for those who may impersonate', async ({ cluster }) => {
  const secrets = '/api/v1/namespaces/default/secrets'
  const as = { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' }
  assert.is((await cluster.http('GET', secrets, { headers: { 'impersonate-user': 'jane' } })).status, 403)
  assert.is((await cluster.http('GET', secrets, { headers: as })).status, 200)
  const token = await tokenOf(cluster, 'pretender')
  const refused = await cluster.http('GET', secrets, { token, headers: as })
  assert.is(refused.status, 403)
  assert.match(String(refused.json.message), 'cannot impersonate resource "users"')
})

test.run()
