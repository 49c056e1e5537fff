import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { authz } from '../../src/runtime/actions/authz.ts'
import {
  controllerMetrics,
  metricsText,
  obfuscate,
  proxyMetrics,
} from '../../src/runtime/actions/diagnostics.ts'
import { forecast, proxyCertificates } from '../../src/runtime/actions/identity.ts'
import { podsOf, selectorText } from '../../src/runtime/actions/pods-of.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject, RawResponse } from '../../src/runtime/kube/types.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { FakeKube } from '../support/fake-kube.ts'
import { installedCluster } from '../support/installed-cluster.ts'

const test = suite('actions/inspect')
const nowMs = Date.UTC(2026, 0, 15)

const object = (value: object) => value as KubeObject
const proxy = { name: 'linkerd-proxy', ports: [{ name: 'linkerd-admin', containerPort: 5191 }] }

function shop(): FakeKube {
  const kube = new FakeKube()
  kube.put(
    resources.deployments,
    object({
      metadata: { name: 'web', namespace: 'shop' },
      spec: { selector: { matchLabels: { app: 'web' } } },
    }),
  )
  kube.put(
    resources.services,
    object({ metadata: { name: 'web', namespace: 'shop' }, spec: { selector: { app: 'web' } } }),
  )
  const pod = (name: string, app: string, rest: object = {}) =>
    object({
      metadata: { name, namespace: 'shop', labels: { app, 'linkerd.io/control-plane-ns': 'linkerd' } },
      spec: { serviceAccountName: 'sa', containers: [{ name: 'app' }], initContainers: [proxy] },
      status: { phase: 'Running' },
      ...rest,
    })
  kube.put(
    resources.pods,
    pod('web-2', 'web'),
    pod('web-1', 'web'),
    pod('old', 'web', { status: { phase: 'Succeeded' } }),
    pod('db-1', 'db', { spec: { containers: [{ name: 'db' }] } }),
  )
  return kube
}

async function codeOf(running: Promise<unknown>): Promise<string> {
  try {
    await running
  } catch (thrown) {
    assert.instance(thrown, MeshError)
    return (thrown as MeshError).code
  }
  return 'none'
}

const namesOf = (pods: readonly KubeObject[]) => pods.map(({ metadata }) => metadata.name)

test('pods are found by workload, Service, namespace and name', async () => {
  const kube = shop()
  assert.equal(namesOf(await podsOf(kube, 'deploy/web', 'shop')), ['web-1', 'web-2'])
  assert.equal(namesOf(await podsOf(kube, 'svc/web', 'shop')), ['web-1', 'web-2'])
  assert.equal(namesOf(await podsOf(kube, 'ns/shop', 'other')), ['db-1', 'web-1', 'web-2'])
  assert.equal(namesOf(await podsOf(kube, 'po/db-1', 'shop')), ['db-1'])
  assert.equal(namesOf(await podsOf(kube, 'db-1', 'shop')), ['db-1'])
  assert.is(await codeOf(podsOf(kube, 'deploy/none', 'shop')), 'MESH_RESOURCE_NOT_FOUND')
  assert.is(await codeOf(podsOf(kube, 'none', 'shop')), 'MESH_RESOURCE_NOT_FOUND')
  assert.is(await codeOf(podsOf(kube, 'thing/x', 'shop')), 'MESH_VIZ_RESOURCE')
})

test('selectors are written as the API takes them', () => {
  assert.is(
    selectorText({
      matchLabels: { a: '1' },
      matchExpressions: [
        { key: 'b', operator: 'In', values: ['x', 'y'] },
        { key: 'c', operator: 'NotIn', values: ['z'] },
        { key: 'd', operator: 'Exists' },
        { key: 'e', operator: 'DoesNotExist' },
      ],
    }),
    'a=1,b in (x,y),c notin (z),d,!e',
  )
  assert.is(selectorText({}), '')
})

const ok = (body: string): RawResponse => ({ status: 200, headers: {}, body })

test('metrics of proxies come with a header each, and one that is silent does not hide the others', async () => {
  const kube = shop()
  kube.onRaw = ({ path }) =>
    path === '/api/v1/namespaces/shop/pods/web-1:5191/proxy/metrics'
      ? ok('a{authority="web.shop"} 1\n')
      : { status: 503, headers: {}, body: 'no' }
  const metrics = await proxyMetrics(kube, 'deploy/web', 'shop')
  assert.equal(
    metrics.map(({ pod, error }) => [pod, error === undefined]),
    [
      ['shop/web-1', true],
      ['shop/web-2', false],
    ],
  )
  const text = metricsText(metrics)
  assert.match(text, '# POD shop/web-1 (1 of 2)\n# CONTAINER linkerd-proxy\n#\na{authority="web.shop"} 1\n')
  assert.match(text, /# ERROR port 5191/)
  assert.is(await codeOf(proxyMetrics(kube, 'db-1', 'shop')), 'MESH_DIAGNOSTICS_NOT_MESHED')
})

test('obfuscated metrics hold no name, and the same name stays the same', () => {
  const text = 'a{authority="web:80",direction="inbound"} 1\nb{client_id="x\\"y",authority="web:80"} 2\n'
  const result = obfuscate(text)
  assert.not.match(result, /web|x\\"y/)
  const hashes = [...result.matchAll(/authority="([0-9a-f]{8})"/g)].map(([, hash]) => hash)
  assert.is(hashes.length, 2)
  assert.is(hashes[0], hashes[1])
  assert.match(result, 'direction="inbound"')
})

test('metrics of controllers come from their admin ports', async () => {
  const kube = new FakeKube()
  kube.put(
    resources.pods,
    object({
      metadata: {
        name: 'd',
        namespace: 'linkerd',
        labels: { 'linkerd.io/control-plane-component': 'destination' },
      },
      spec: {
        containers: [
          proxy,
          {
            name: 'destination',
            ports: [
              { name: 'dest-grpc', containerPort: 1 },
              { name: 'dest-admin', containerPort: 2 },
            ],
          },
        ],
      },
    }),
  )
  kube.onRaw = ({ path }) => ok(`# ${path}\n`)
  const metrics = await controllerMetrics(kube, 'linkerd')
  assert.equal(
    metrics.map(({ container, text }) => `${container} ${text}`),
    ['destination # /api/v1/namespaces/linkerd/pods/d:2/proxy/metrics\n'],
  )
})

test('certificates of proxies are what the proxies say', async () => {
  const kube = shop()
  const answers: Record<string, RawResponse> = {
    'web-1': ok('identity_cert_expiration_timestamp_seconds 1768521600\nidentity_cert_refresh_count 3\n'),
    'web-2': ok('identity_cert_expiration_timestamp_seconds 0\n'),
  }
  kube.onRaw = ({ path }) =>
    answers[/pods\/([^:]+):/.exec(path)?.[1] ?? ''] ?? { status: 500, headers: {}, body: '' }
  const [first, second] = await proxyCertificates(kube, { words: ['deploy/web'], namespace: 'shop' })
  assert.equal(first, {
    namespace: 'shop',
    pod: 'web-1',
    identity: 'sa.shop.serviceaccount.identity.linkerd.cluster.local',
    validUntil: '2026-01-16T00:00:00Z',
    refreshes: 3,
  })
  assert.is(second?.validUntil, undefined)
  const all = await proxyCertificates(kube, { words: [], namespace: 'shop' })
  assert.equal(all.map(({ pod }) => pod).sort(), ['old', 'web-1', 'web-2'])
})

test('a forecast names what ends within the horizon, soonest first', async () => {
  const { kube } = await installedCluster(nowMs)
  const all = await forecast(kube, 'linkerd', nowMs, Number.POSITIVE_INFINITY)
  assert.equal(all.map(({ what, days }) => `${what} ${days}`).sort(), [
    'issuer 365',
    'trust anchor 365',
    'webhook proxy-injector 365',
  ])
  assert.equal(await forecast(kube, 'linkerd', nowMs, 364 * 86_400_000), [])
  assert.equal(await forecast(new FakeKube(), 'linkerd', nowMs, Number.POSITIVE_INFINITY), [])
})

test('authz lists what decides who may connect', async () => {
  const kube = shop()
  const put = (
    resource: (typeof resources)[keyof typeof resources],
    name: string,
    spec: object,
    rest: object = {},
  ) => kube.put(resource, object({ metadata: { name, namespace: 'shop', ...rest }, spec }))
  put(
    resources.servers,
    'web-http',
    { podSelector: { matchLabels: { app: 'web' } } },
    { labels: { tier: 'front' } },
  )
  put(resources.servers, 'db', { podSelector: { matchLabels: { app: 'db' } } })
  put(resources.serverAuthorizations, 'by-name', { server: { name: 'web-http' } })
  put(resources.serverAuthorizations, 'by-label', {
    server: { selector: { matchLabels: { tier: 'front' } } },
  })
  put(resources.serverAuthorizations, 'other', { server: { name: 'db' } })
  put(resources.authorizationPolicies, 'on-server', { targetRef: { kind: 'Server', name: 'web-http' } })
  put(resources.authorizationPolicies, 'on-route', { targetRef: { kind: 'HTTPRoute', name: 'get' } })
  put(resources.authorizationPolicies, 'on-namespace', { targetRef: { kind: 'Namespace', name: 'shop' } })
  put(resources.authorizationPolicies, 'on-db', { targetRef: { kind: 'Server', name: 'db' } })
  put(resources.policyHttpRoutes, 'get', { parentRefs: [{ kind: 'Server', name: 'web-http' }] })
  const rows = await authz(kube, 'deploy/web', 'shop')
  assert.equal(
    rows.map((row) => [row.route, row.server, row.authorizationPolicy, row.serverAuthorization].join(' ')),
    [
      '* * on-namespace ',
      '* web-http  by-label',
      '* web-http  by-name',
      '* web-http on-server ',
      'get web-http on-route ',
    ],
  )
})

test('authz without the kinds of policy is empty', async () => {
  const kube = shop()
  for (const kind of ['servers', 'serverauthorizations', 'authorizationpolicies', 'httproutes'])
    kube.missingKinds.add(kind)
  assert.equal(await authz(kube, 'deploy/web', 'shop'), [])
})

test.run()
