import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startTestCluster, type TestCluster } from './support.ts'

const test = suite<{ cluster: TestCluster }>('local/apiserver/http')

test.before(async (context) => {
  context.cluster = await startTestCluster()
})

test.after(async ({ cluster }) => {
  await cluster.close()
})

const configMaps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'

function configMap(name: string, data: Record<string, string> = {}): Record<string, unknown> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data }
}

function deployment(name: string, spec: Record<string, unknown> = {}): Record<string, unknown> {
  const labels = { app: name }
  const containers = [{ name: 'web', image: 'nginx:1' }]
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
      ...spec,
    },
  }
}

test('answers health, version and discovery', async ({ cluster }) => {
  assert.is((await cluster.http('GET', '/readyz', { anonymous: true })).text, 'ok')
  assert.is((await cluster.http('GET', '/version', { anonymous: true })).json.minor, '32')
  assert.is((await cluster.http('GET', '/api')).json.kind, 'APIVersions')
  assert.is((await cluster.http('GET', '/apis')).json.kind, 'APIGroupList')
  const apps = await cluster.http('GET', '/apis/apps/v1')
  assert.ok(apps.json.resources.some((resource: { name: string }) => resource.name === 'deployments/scale'))
})

test('answers discovery aggregated when asked so', async ({ cluster }) => {
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
  const { json, headers } = await cluster.http('GET', '/apis', { headers: { accept } })
  assert.is(json.kind, 'APIGroupDiscoveryList')
  assert.match(String(headers['content-type']), 'as=APIGroupDiscoveryList')
})

test('answers the documents that the OpenAPI index names', async ({ cluster }) => {
  const index = await cluster.http('GET', '/openapi/v3')
  const { serverRelativeURL } = index.json.paths['apis/apps/v1']
  const document = await cluster.http('GET', String(serverRelativeURL))
  const schema = document.json.components.schemas['apps.v1.Deployment']
  assert.equal(schema['x-kubernetes-group-version-kind'], [
    { group: 'apps', version: 'v1', kind: 'Deployment' },
  ])
  assert.match(String(document.headers['cache-control']), 'immutable')
  for (const reference of document.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(document.json.components.schemas[String(reference[1])], `${reference[1]} is there`)
  }
})

test('creates, reads, replaces, patches and deletes', async ({ cluster }) => {
  const created = await cluster.http('POST', configMaps, { body: configMap('life', { a: '1' }) })
  assert.is(created.status, 201)
  assert.is((await cluster.http('POST', configMaps, { body: configMap('life') })).status, 409)
  const replaced = await cluster.http('PUT', `${configMaps}/life`, { body: configMap('life', { a: '2' }) })
  assert.is(replaced.json.data.a, '2')
  const stale = { ...created.json, data: { a: '3' } }
  assert.is((await cluster.http('PUT', `${configMaps}/life`, { body: stale })).status, 409)
  const patches: [type: string, body: unknown][] = [
    ['application/merge-patch+json', { data: { b: 'merge' } }],
    ['application/strategic-merge-patch+json', { data: { c: 'strategic' } }],
    ['application/json-patch+json', [{ op: 'add', path: '/data/d', value: 'json' }]],
    [
      'application/apply-patch+yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: life}\ndata: {e: apply}\n',
    ],
  ]
  for (const [type, body] of patches) {
    const path = `${configMaps}/life?fieldManager=test`
    const patched = await cluster.http('PATCH', path, { body, headers: { 'content-type': type } })
    assert.is(patched.status, 200, patched.text)
  }
  const read = await cluster.http('GET', `${configMaps}/life`)
  assert.equal(read.json.data, { a: '2', b: 'merge', c: 'strategic', d: 'json', e: 'apply' })
  assert.is((await cluster.http('DELETE', `${configMaps}/life`)).json.status, 'Success')
  assert.is((await cluster.http('GET', `${configMaps}/life`)).status, 404)
})

test('fills in defaults and counts generations', async ({ cluster }) => {
  const created = await cluster.http('POST', deployments, { body: deployment('gen') })
  assert.is(created.json.metadata.generation, 1)
  assert.is(created.json.spec.replicas, 1)
  assert.is(created.json.spec.template.spec.containers[0].imagePullPolicy, 'IfNotPresent')
  const patch = async (path: string, body: unknown) =>
    cluster.http('PATCH', `${deployments}/gen${path}`, {
      body,
      headers: { 'content-type': 'application/merge-patch+json' },
    })
  assert.is((await patch('', { metadata: { labels: { a: 'b' } } })).json.metadata.generation, 1)
  assert.is((await patch('', { spec: { replicas: 2 } })).json.metadata.generation, 2)
  assert.is((await patch('/status', { status: { replicas: 9 } })).json.metadata.generation, 2)
})

test('keeps status and the rest apart', async ({ cluster }) => {
  const merge = { 'content-type': 'application/merge-patch+json' }
  await cluster.http('POST', deployments, { body: { ...deployment('apart'), status: { replicas: 5 } } })
  const both = { spec: { replicas: 3 }, status: { replicas: 3 } }
  const main = await cluster.http('PATCH', `${deployments}/apart`, { body: both, headers: merge })
  assert.equal([main.json.spec.replicas, main.json.status.replicas], [3, undefined])
  const other = { spec: { replicas: 4 }, status: { replicas: 4 } }
  const status = await cluster.http('PATCH', `${deployments}/apart/status`, { body: other, headers: merge })
  assert.equal([status.json.spec.replicas, status.json.status.replicas], [3, 4])
})

test('scales by the scale subresource', async ({ cluster }) => {
  await cluster.http('POST', deployments, { body: deployment('scaled') })
  const scale = await cluster.http('GET', `${deployments}/scaled/scale`)
  assert.equal([scale.json.kind, scale.json.spec.replicas], ['Scale', 1])
  const body = { ...scale.json, spec: { replicas: 6 } }
  assert.is((await cluster.http('PUT', `${deployments}/scaled/scale`, { body })).json.spec.replicas, 6)
  assert.is((await cluster.http('GET', `${deployments}/scaled`)).json.spec.replicas, 6)
})

test('tells defects with their field paths', async ({ cluster }) => {
  const selector = { matchLabels: { app: 'other' } }
  const { status, json } = await cluster.http('POST', deployments, {
    body: deployment('bad', { selector, replicas: -1 }),
  })
  assert.equal([status, json.reason], [422, 'Invalid'])
  assert.equal(
    json.details.causes.map((cause: { field: string }) => cause.field),
    ['spec.replicas', 'spec.template.metadata.labels'],
  )
  assert.match(String(json.message), 'Deployment.apps "bad" is invalid: ')
})

test('refuses unknown fields when asked to be strict, warns otherwise', async ({ cluster }) => {
  const body = deployment('strict', { replica: 1 })
  const strict = await cluster.http('POST', `${deployments}?fieldValidation=Strict`, { body })
  assert.equal([strict.status, strict.json.reason], [400, 'BadRequest'])
  assert.match(String(strict.json.message), 'strict decoding error: unknown field "spec.replica"')
  const warned = await cluster.http('POST', `${deployments}?fieldValidation=Warn`, { body })
  assert.is(warned.status, 201)
  assert.is(warned.headers.warning, '299 - "unknown field \\"spec.replica\\""')
})

const badBodies: [title: string, method: string, path: string, request: object, status: number][] = [
  ['a body that is no JSON', 'POST', configMaps, { body: '{' }, 400],
  ['an empty body', 'POST', configMaps, {}, 400],
  [
    'a body of another kind',
    'POST',
    configMaps,
    { body: { kind: 'Secret', apiVersion: 'v1', metadata: {} } },
    400,
  ],
  [
    'a body for another namespace',
    'POST',
    configMaps,
    { body: { metadata: { name: 'a', namespace: 'b' } } },
    400,
  ],
  ['an object without a name', 'POST', configMaps, { body: { metadata: {} } }, 422],
  ['a name that is none', 'POST', configMaps, { body: configMap('A_b') }, 422],
  ['a value of a wrong type', 'POST', deployments, { body: deployment('x', { replicas: '3' }) }, 400],
  [
    'a format that nobody knows',
    'POST',
    configMaps,
    { body: 'x', headers: { 'content-type': 'text/x' } },
    415,
  ],
  ['a form that nobody can make', 'GET', configMaps, { headers: { accept: 'text/x' } }, 406],
  ['a body that is too large', 'POST', configMaps, { body: 'x'.repeat(3 * 1024 * 1024 + 1) }, 413],
  [
    'a namespace that is not there',
    'POST',
    '/api/v1/namespaces/none/configmaps',
    { body: configMap('a') },
    404,
  ],
  ['a kind that is not there', 'GET', '/apis/apps/v1/namespaces/default/nothings', {}, 404],
  ['a group that is not there', 'GET', '/apis/none.example.com/v1/things', {}, 404],
  ['a method that makes no sense', 'PUT', configMaps, { body: {} }, 405],
  ['a field selector that the kind lacks', 'GET', `${configMaps}?fieldSelector=spec.x%3D1`, {}, 400],
  ['a label selector that cannot be read', 'GET', `${configMaps}?labelSelector=a%20in%20b`, {}, 400],
  ['a broken escape in the path', 'GET', '/api/v1/namespaces/%zz/configmaps', {}, 400],
  [
    'a protobuf body that is none',
    'POST',
    configMaps,
    { body: 'x', headers: { 'content-type': 'application/vnd.kubernetes.protobuf' } },
    400,
  ],
]

for (const [title, method, path, request, status] of badBodies) {
  test(`answers ${status} to ${title}`, async ({ cluster }) => {
    const answer = await cluster.http(method, path, request)
    assert.is(answer.status, status, answer.text)
    assert.is(answer.json.kind, 'Status')
    assert.ok(answer.json.message)
  })
}

test('stores nothing in a dry run', async ({ cluster }) => {
  const created = await cluster.http('POST', `${configMaps}?dryRun=All`, { body: configMap('dry') })
  assert.is(created.status, 201)
  assert.is((await cluster.http('GET', `${configMaps}/dry`)).status, 404)
})

test('generates names', async ({ cluster }) => {
  const { json } = await cluster.http('POST', configMaps, { body: { metadata: { generateName: 'gen-' } } })
  assert.match(String(json.metadata.name), /^gen-[a-z0-9]{5}$/)
})

test('watches over HTTP until the time is over', async ({ cluster }) => {
  const { json } = await cluster.http('GET', configMaps)
  const from = json.metadata.resourceVersion
  await cluster.http('POST', configMaps, { body: configMap('watched') })
  const answer = await cluster.http(
    'GET',
    `${configMaps}?watch=true&resourceVersion=${from}&timeoutSeconds=1`,
  )
  const [event] = answer.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal([event.type, event.object.metadata.name], ['ADDED', 'watched'])
})

test('gives each namespace its account and the CA of the cluster', async ({ cluster }) => {
  await cluster.http('POST', '/api/v1/namespaces', { body: { metadata: { name: 'fresh' } } })
  const account = await cluster.http('GET', '/api/v1/namespaces/fresh/serviceaccounts/default')
  assert.is(account.status, 200)
  const ca = '/api/v1/namespaces/fresh/configmaps/kube-root-ca.crt'
  assert.is((await cluster.http('GET', ca)).json.data['ca.crt'], cluster.ca)
  await cluster.http('DELETE', ca)
  assert.is((await cluster.http('GET', ca)).status, 200, 'it comes back')
})

test('takes no new objects into a namespace that is being deleted', async ({ cluster }) => {
  await cluster.http('POST', '/api/v1/namespaces', { body: { metadata: { name: 'ending' } } })
  const deleted = await cluster.http('DELETE', '/api/v1/namespaces/ending')
  assert.is(deleted.json.status.phase, 'Terminating')
  const refused = await cluster.http('POST', '/api/v1/namespaces/ending/configmaps', { body: configMap('a') })
  assert.is(refused.status, 403)
  assert.match(String(refused.json.message), 'being terminated')
  const body = { ...deleted.json, spec: { finalizers: [] } }
  await cluster.http('PUT', '/api/v1/namespaces/ending/finalize', { body })
  assert.is((await cluster.http('GET', '/api/v1/namespaces/ending')).status, 404)
})

test('gives Services addresses of the range, each once', async ({ cluster }) => {
  const services = '/api/v1/namespaces/default/services'
  const service = (name: string, spec: object = {}) => ({
    body: { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } },
  })
  const given = await cluster.http('POST', services, service('one'))
  assert.match(String(given.json.spec.clusterIP), /^10\.96\.\d+\.\d+$/)
  assert.is(given.json.spec.ports[0].targetPort, 80)
  const asked = await cluster.http('POST', services, service('dns', { clusterIP: '10.96.0.10' }))
  assert.is(asked.json.spec.clusterIP, '10.96.0.10')
  const taken = await cluster.http('POST', services, service('two', { clusterIP: '10.96.0.10' }))
  assert.equal([taken.status, taken.json.details.causes[0].field], [422, 'spec.clusterIPs'])
  const outside = await cluster.http('POST', services, service('three', { clusterIP: '10.1.0.10' }))
  assert.is(outside.status, 422)
  const headless = await cluster.http('POST', services, service('none', { clusterIP: 'None' }))
  assert.is(headless.json.spec.clusterIP, 'None')
  const body = { ...given.json, spec: { ...given.json.spec, clusterIP: undefined, clusterIPs: undefined } }
  const kept = await cluster.http('PUT', `${services}/one`, { body })
  assert.is(kept.json.spec.clusterIP, given.json.spec.clusterIP, 'a writer that leaves it out keeps it')
})

test('mounts a token into pods', async ({ cluster }) => {
  const body = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const { json } = await cluster.http('POST', '/api/v1/namespaces/default/pods', { body })
  assert.is(json.spec.serviceAccountName, 'default')
  const [mount] = json.spec.containers[0].volumeMounts
  assert.is(mount.mountPath, '/var/run/secrets/kubernetes.io/serviceaccount')
  assert.is(json.spec.volumes[0].name, mount.name)
  const opted = { metadata: { name: 'q' }, spec: { ...body.spec, automountServiceAccountToken: false } }
  const without = await cluster.http('POST', '/api/v1/namespaces/default/pods', { body: opted })
  assert.is(without.json.spec.volumes, undefined)
})

test('answers lists as tables, and as metadata only', async ({ cluster }) => {
  const table = await cluster.http('GET', deployments, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  })
  assert.equal([table.json.kind, table.json.columnDefinitions[1].name], ['Table', 'Ready'])
  const partial = await cluster.http('GET', deployments, {
    headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' },
  })
  assert.is(partial.json.kind, 'PartialObjectMetadataList')
  assert.is(partial.json.items[0].spec, undefined)
})

test('deletes a collection by its labels', async ({ cluster }) => {
  for (const name of ['c1', 'c2']) {
    await cluster.http('POST', configMaps, { body: { metadata: { name, labels: { group: 'gone' } } } })
  }
  const deleted = await cluster.http('DELETE', `${configMaps}?labelSelector=group%3Dgone`)
  assert.is(deleted.json.items.length, 2)
  assert.is((await cluster.http('GET', `${configMaps}/c1`)).status, 404)
})

test('lists 500 pods in less than 100 ms', async ({ cluster }) => {
  const namespace = '/api/v1/namespaces/kube-public'
  const spec = { containers: [{ name: 'c', image: 'i', env: [{ name: 'A', value: 'b' }] }] }
  const { client } = cluster.server
  const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true }
  for (let index = 0; index < 500; index++) {
    const metadata = { name: `many-${index}`, namespace: 'kube-public' }
    await client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as never)
  }
  // The best of several, for machines that are busy with something else.
  let bestMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < 8; round++) {
    const startMs = performance.now()
    const { json } = await cluster.http('GET', `${namespace}/pods`)
    bestMs = Math.min(bestMs, performance.now() - startMs)
    assert.is(json.items.length, 500)
  }
  assert.ok(bestMs < 100, `${bestMs} ms`)
})

test.run()
