import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inboundServer } from '../../../src/runtime/control/policy/inbound-wire.ts'
import { type Manifest, pod } from '../../support/cluster-objects.ts'
import { namesOf, World } from '../../support/policy-state.ts'

const test = suite('control/policy: routes and clients of Servers')

function webPod(): Manifest {
  const object = pod('web-1', {
    labels: { app: 'web' },
    ports: [{ name: 'http', containerPort: 8080 }],
    container: { readinessProbe: { httpGet: { path: '/ready', port: 8080 } } },
  })
  return { apiVersion: 'v1', kind: 'Pod', ...object }
}

function serverYaml(protocol: string, extra = ''): string {
  return `
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: { name: web, labels: { app: web } }
spec: { podSelector: { matchLabels: { app: web } }, port: http, proxyProtocol: ${protocol}${extra} }`
}

function routeYaml(name: string, rules: string, kind = 'HTTPRoute'): string {
  return `
apiVersion: ${kind === 'HTTPRoute' ? 'policy.linkerd.io/v1beta3' : 'gateway.networking.k8s.io/v1'}
kind: ${kind}
metadata: { name: ${name} }
spec: { parentRefs: [{ group: policy.linkerd.io, kind: Server, name: web }], rules: ${rules} }`
}

function authorizationYaml(
  name: string,
  targetKind: string,
  target: string,
  group = 'policy.linkerd.io',
): string {
  return `
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name} }
spec:
  targetRef: { group: ${group}, kind: ${targetKind}, name: ${target} }
  requiredAuthenticationRefs: [{ kind: ServiceAccount, name: ${name} }]`
}

function world(protocol = 'HTTP/1'): World {
  return new World().put(webPod()).apply(serverYaml(protocol))
}

test('a route admits whom the Server does, and whom its own policies do', () => {
  const policy = world()
    .apply(
      routeYaml('read', '[{ matches: [{ method: GET }] }]'),
      routeYaml('write', '[{ matches: [{ method: POST }] }]'),
      authorizationYaml('everything', 'Server', 'web'),
      authorizationYaml('reader', 'HTTPRoute', 'read'),
      authorizationYaml('stranger', 'HTTPRoute', 'other'),
    )
    .at('web-1', 8080)
  assert.equal(namesOf(policy.authorizations), ['everything'])
  assert.equal(
    policy.httpRoutes.map(({ meta, authorizations }) => [meta.name, namesOf(authorizations)]),
    [
      ['read', ['everything', 'reader']],
      ['write', ['everything']],
    ],
  )
})

test('the routes of the probes and of everything are gone as soon as there is a route', () => {
  const before = world()
  assert.equal(
    before.at('web-1', 8080).httpRoutes.map(({ meta }) => meta.name),
    ['probe', 'default'],
  )
  const after = before.apply(routeYaml('read', '[{}]')).at('web-1', 8080)
  assert.equal(
    after.httpRoutes.map(({ meta }) => meta.name),
    ['read'],
  )
})

test('routes of another namespace, and for another Server, do not count', () => {
  const policy = world()
    .apply(
      routeYaml('far', '[{}]').replace('{ name: far }', '{ name: far, namespace: office }'),
      routeYaml('other', '[{}]').replace('kind: Server, name: web', 'kind: Server, name: other'),
    )
    .at('web-1', 8080)
  assert.equal(
    policy.httpRoutes.map(({ meta }) => meta.name),
    ['probe', 'default'],
  )
})

test('a route that cannot be used refuses requests instead of letting them all in', () => {
  const policy = world()
    .apply(routeYaml('mirrored', '[{ filters: [{ type: RequestMirror }] }]'))
    .apply(authorizationYaml('everything', 'Server', 'web'))
    .at('web-1', 8080)
  const [probe, refused] = policy.httpRoutes
  assert.is(probe?.meta.name, 'probe')
  assert.is(refused?.meta.name, 'mirrored')
  const [filter] = refused?.rules[0]?.filters ?? []
  assert.is(filter?.kind === 'failure' && filter.status, 500)
})

test('filters of requests are kept, those of responses are not', () => {
  const filters =
    '[{ filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { remove: [a] } }, ' +
    '{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: b, value: c }] } }, ' +
    '{ type: RequestRedirect, requestRedirect: { statusCode: 301 } }] }]'
  const wire = inboundServer(world().apply(routeYaml('r', filters)).at('web-1', 8080))
  const kind = wire.protocol?.kind
  const rule = kind?.case === 'http1' ? kind.value.routes[0]?.rules[0] : undefined
  assert.equal(
    rule?.filters.map(({ kind: filter }) => filter.case),
    ['requestHeaderModifier', 'redirect'],
  )
})

const call =
  '[{ matches: [{ method: { service: shop.Cart, method: Add } }, { method: { service: shop.Cart } }, { method: { method: Get_1 } }, {}] }]'

test('a GRPCRoute judges calls on a gRPC port', () => {
  const policy = world('gRPC').apply(
    routeYaml('calls', call, 'GRPCRoute'),
    authorizationYaml('caller', 'GRPCRoute', 'calls', 'gateway.networking.k8s.io'),
  )
  const kind = inboundServer(policy.at('web-1', 8080)).protocol?.kind
  if (kind?.case !== 'grpc') throw new Error('gRPC was expected')
  const [route] = kind.value.routes
  assert.equal(
    route?.rules[0]?.matches.map(({ rpc }) => [rpc?.service, rpc?.method]),
    [
      ['shop.Cart', 'Add'],
      ['shop.Cart', ''],
      ['', 'Get_1'],
      [undefined, undefined],
    ],
  )
  assert.is(route?.authorizations[0]?.labels.name, 'caller')
})

test('a gRPC port without routes takes every call of its clients, and has no hole for probes', () => {
  const { grpcRoutes } = world('gRPC').at('web-1', 8080)
  assert.equal(
    grpcRoutes.map(({ meta, authorizations }) => [meta.name, authorizations.length]),
    [['default', 0]],
  )
})

test('on an HTTP port a GRPCRoute is a route of paths', () => {
  const { httpRoutes } = world('HTTP/2')
    .apply(routeYaml('calls', call, 'GRPCRoute'))
    .at('web-1', 8080)
  assert.equal(
    httpRoutes[0]?.rules[0]?.matches.map(({ method, path }) => [method, path?.kind, path?.value]),
    [
      ['POST', 'exact', '/shop.Cart/Add'],
      ['POST', 'prefix', '/shop.Cart'],
      ['POST', 'regex', '/[^/]+/Get_1'],
      ['POST', 'prefix', '/'],
    ],
  )
})

function serverAuthorizationYaml(name: string, server: string, client: string): string {
  return `
apiVersion: policy.linkerd.io/v1beta1
kind: ServerAuthorization
metadata: { name: ${name} }
spec: { server: ${server}, client: ${client} }`
}

test('ServerAuthorizations admit by name or labels, from the cluster’s networks unless they name others', () => {
  const policy = world()
    .apply(
      serverAuthorizationYaml('a', '{ name: web }', '{ unauthenticated: true }'),
      serverAuthorizationYaml(
        'b',
        '{ selector: { matchLabels: { app: web } } }',
        '{ meshTLS: { unauthenticatedTLS: true }, networks: [{ cidr: 0.0.0.0/0 }] }',
      ),
      serverAuthorizationYaml(
        'c',
        '{ name: web }',
        '{ meshTLS: { identities: ["*.ns.x"], serviceAccounts: [{ name: cart }] } }',
      ),
      serverAuthorizationYaml('other', '{ name: other }', '{ unauthenticated: true }'),
      serverAuthorizationYaml('nothing', '{}', '{ unauthenticated: true }'),
      serverAuthorizationYaml('nobody', '{ name: web }', '{ meshTLS: {} }'),
      serverAuthorizationYaml(
        'unreadable',
        '{ name: web }',
        '{ unauthenticated: true, networks: [{ cidr: ten }] }',
      ),
      serverAuthorizationYaml('no-network', '{ name: web }', '{ unauthenticated: true, networks: [] }'),
    )
    .at('web-1', 8080)
  const [a, b, c, ...more] = policy.authorizations
  assert.equal(more, [])
  assert.equal([a?.meta.name, a?.clients.kind, a?.networks[0]?.network.prefixLength], ['a', 'anyone', 8])
  assert.equal([b?.meta.name, b?.clients.kind, b?.networks[0]?.network.prefixLength], ['b', 'any-tls', 0])
  assert.equal(c?.clients, {
    kind: 'identities',
    names: ['cart.shop.serviceaccount.identity.linkerd.cluster.local'],
    suffixes: [['ns', 'x']],
  })
})

function limitYaml(name: string, createdAt: string, spec: string): string {
  return `
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: { name: ${name}, creationTimestamp: "${createdAt}" }
spec: { targetRef: { group: policy.linkerd.io, kind: Server, name: web }, ${spec} }`
}

test('the oldest rate limit of a Server counts, whole', () => {
  const overrides =
    'overrides: [{ requestsPerSecond: 5, clientRefs: [{ kind: ServiceAccount, name: cart }, { kind: Pod, name: x }] }]'
  const policy = world('HTTP/2').apply(
    limitYaml('new', '2026-01-02T00:00:00Z', 'total: { requestsPerSecond: 1 }'),
    limitYaml(
      'old',
      '2026-01-01T00:00:00Z',
      `total: { requestsPerSecond: 100 }, identity: { requestsPerSecond: 20 }, ${overrides}`,
    ),
  )
  const kind = inboundServer(policy.at('web-1', 8080)).protocol?.kind
  const limit = kind?.case === 'http2' ? kind.value.localRateLimit : undefined
  assert.is(limit?.total?.requestsPerSecond, 100)
  assert.is(limit?.identity?.requestsPerSecond, 20)
  assert.is(limit?.overrides[0]?.limit?.requestsPerSecond, 5)
  assert.equal(
    limit?.overrides[0]?.clients?.identities.map(({ name }) => name),
    ['cart.shop.serviceaccount.identity.linkerd.cluster.local'],
  )
})

test.run()
