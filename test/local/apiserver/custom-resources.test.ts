import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startTestCluster, type TestCluster } from './support.ts'

const test = suite<{ cluster: TestCluster }>('local/apiserver/custom-resources')

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const widgets = '/apis/example.com/v1/namespaces/default/widgets'

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1 },
        mode: { type: 'string', enum: ['slow', 'fast'], default: 'slow' },
        replicas: { type: 'integer' },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            properties: { name: { type: 'string' }, n: { type: 'integer' } },
            required: ['name'],
          },
        },
      },
    },
    status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
}

function crd(extra: Record<string, unknown> = {}): Record<string, unknown> {
  const version = (name: string, storage: boolean) => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: schema },
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
    },
    additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
  })
  return {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
      versions: [version('v1', true), version('v1beta1', false)],
      ...extra,
    },
  }
}

test.before.each(async (context) => {
  context.cluster = await startTestCluster()
  const answer = await context.cluster.http('POST', crds, { body: crd() })
  assert.is(answer.status, 201, answer.text)
})

test.after.each(async ({ cluster }) => {
  await cluster.close()
})

function create(cluster: TestCluster, name: string, spec: object, query = '') {
  return cluster.http('POST', `${widgets}${query}`, { body: { metadata: { name }, spec } })
}

test('is served at once, and established', async ({ cluster }) => {
  const created = await create(cluster, 'a', { size: 1 })
  assert.is(created.status, 201, created.text)
  assert.is(created.json.metadata.generation, 1)
  const { json } = await cluster.http('GET', `${crds}/widgets.example.com`)
  assert.equal(
    json.status.conditions.map(({ type, status }: { type: string; status: string }) => `${type}=${status}`),
    ['NamesAccepted=True', 'Established=True'],
  )
  assert.equal(json.status.storedVersions, ['v1'])
  const list = await cluster.http('GET', '/apis/example.com/v1')
  assert.equal(
    list.json.resources.map((resource: { name: string }) => resource.name),
    ['widgets', 'widgets/scale', 'widgets/status'],
  )
  assert.equal(list.json.resources[0].shortNames, ['wd'])
})

test('defaults, validates and prunes', async ({ cluster }) => {
  assert.is((await create(cluster, 'a', { size: 1 })).json.spec.mode, 'slow')
  const bad = await create(cluster, 'b', { size: 0, mode: 'other' })
  assert.is(bad.status, 422)
  assert.match(String(bad.json.message), 'Widget.example.com "b" is invalid: ')
  assert.equal(
    bad.json.details.causes.map((cause: { field: string }) => cause.field),
    ['spec.size', 'spec.mode'],
  )
  assert.is((await create(cluster, 'c', { size: 1, typo: 1 }, '?fieldValidation=Strict')).status, 400)
  const pruned = await create(cluster, 'd', { size: 1, typo: 1 })
  assert.equal([pruned.status, pruned.json.spec.typo], [201, undefined])
  assert.is(pruned.headers.warning, '299 - "unknown field \\"spec.typo\\""')
})

test('serves one object in all versions', async ({ cluster }) => {
  await create(cluster, 'a', { size: 1 })
  const older = await cluster.http('GET', '/apis/example.com/v1beta1/namespaces/default/widgets/a')
  assert.is(older.json.apiVersion, 'example.com/v1beta1')
  const body = { ...older.json, spec: { size: 2 } }
  await cluster.http('PUT', '/apis/example.com/v1beta1/namespaces/default/widgets/a', { body })
  const newer = await cluster.http('GET', `${widgets}/a`)
  assert.equal([newer.json.apiVersion, newer.json.spec.size], ['example.com/v1', 2])
})

test('keeps status apart and scales', async ({ cluster }) => {
  await create(cluster, 'a', { size: 1, replicas: 1 })
  const headers = { 'content-type': 'application/merge-patch+json' }
  const status = { status: { replicas: 4, any: 'thing' }, spec: { size: 9 } }
  const patched = await cluster.http('PATCH', `${widgets}/a/status`, { body: status, headers })
  assert.equal(
    [patched.json.spec.size, patched.json.status.any, patched.json.metadata.generation],
    [1, 'thing', 1],
  )
  const scale = await cluster.http('PATCH', `${widgets}/a/scale`, {
    body: { spec: { replicas: 7 } },
    headers,
  })
  assert.equal([scale.json.spec.replicas, scale.json.status.replicas], [7, 4])
})

test('shows its own columns', async ({ cluster }) => {
  await create(cluster, 'a', { size: 3 })
  const { json } = await cluster.http('GET', widgets, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  })
  assert.equal(json.rows[0].cells, ['a', 3])
})

test('joins keyed lists in server-side apply, and refuses strategic merge patches', async ({ cluster }) => {
  const apply = (manager: string, part: object) =>
    cluster.http('PATCH', `${widgets}/a?fieldManager=${manager}`, {
      body: {
        apiVersion: 'example.com/v1',
        kind: 'Widget',
        metadata: { name: 'a' },
        spec: { size: 1, parts: [part] },
      },
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
  assert.is((await apply('one', { name: 'x', n: 1 })).status, 201)
  const both = await apply('two', { name: 'y', n: 2 })
  assert.equal(both.json.spec.parts, [
    { name: 'x', n: 1 },
    { name: 'y', n: 2 },
  ])
  assert.is((await apply('two', { name: 'x', n: 3 })).status, 409)
  const headers = { 'content-type': 'application/strategic-merge-patch+json' }
  assert.is((await cluster.http('PATCH', `${widgets}/a`, { body: {}, headers })).status, 415)
})

test('takes its objects with it', async ({ cluster }) => {
  await create(cluster, 'a', { size: 1 })
  const body = { metadata: { name: 'held', finalizers: ['example.com/hold'] }, spec: { size: 1 } }
  await cluster.http('POST', widgets, { body })
  await cluster.http('DELETE', `${crds}/widgets.example.com`)
  assert.is((await cluster.http('GET', `${widgets}/a`)).status, 404)
  const ending = await cluster.http('GET', `${crds}/widgets.example.com`)
  assert.ok(ending.json.metadata.deletionTimestamp, 'it waits for the finalizer')
  const headers = { 'content-type': 'application/merge-patch+json' }
  await cluster.http('PATCH', `${widgets}/held`, { body: { metadata: { finalizers: null } }, headers })
  assert.is((await cluster.http('GET', `${crds}/widgets.example.com`)).status, 404)
  assert.is((await cluster.http('GET', '/apis/example.com/v1')).status, 404)
})

const badDefinitions: [title: string, extra: Record<string, unknown>, field: string][] = [
  [
    'two storage versions',
    {
      versions: [1, 2].map((n) => ({
        name: `v${n}`,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object' } },
      })),
    },
    'spec.versions',
  ],
  [
    'a schema without types',
    {
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } },
        },
      ],
    },
    'spec.versions[0].schema.openAPIV3Schema.properties[a].type',
  ],
  [
    'no schema',
    { versions: [{ name: 'v1', served: true, storage: true }] },
    'spec.versions[0].schema.openAPIV3Schema',
  ],
  ['a scope that is none', { scope: 'Everywhere' }, 'spec.scope'],
  ['a group without a dot', { group: 'example' }, 'metadata.name'],
  ['a conversion webhook', { conversion: { strategy: 'Webhook' } }, 'spec.conversion.strategy'],
]

for (const [title, extra, field] of badDefinitions) {
  test(`refuses a definition with ${title}`, async ({ cluster }) => {
    const body = {
      ...crd(extra),
      metadata: { name: title.includes('group') ? 'things.example' : 'things.example.com' },
    }
    const spec = (body as Record<string, unknown>).spec as { names: object }
    spec.names = { plural: title.includes('group') ? 'other' : 'things', kind: 'Thing' }
    const { status, json } = await cluster.http('POST', crds, { body })
    assert.is(status, 422)
    assert.ok(
      json.details.causes.some((cause: { field: string }) => cause.field === field),
      JSON.stringify(json.details.causes),
    )
  })
}

test.run()
