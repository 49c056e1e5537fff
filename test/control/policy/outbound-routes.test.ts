import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Distribution, OutboundPolicy } from '../../../src/runtime/control/policy/outbound-policy.ts'
import { outboundPolicy } from '../../../src/runtime/control/policy/outbound-wire.ts'
import { World } from '../../support/policy-state.ts'

const test = suite('control/policy: routes of Services')

function serviceYaml(name: string, ports: string, extra = ''): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop${extra} }
spec: { clusterIP: 10.96.0.1, ports: [${ports}] }`
}

const api = serviceYaml('api', '{ port: 8080 }')

/** The route of the seed document, word for word, with the names that its example has. */
const seedRoute = `
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata:
  name: api-retries
  namespace: shop
spec:
  parentRefs:
    - name: api
      kind: Service
  rules:
    - matches: [{ path: { type: PathPrefix, value: "/" } }]
      filters: []
      backendRefs:
        - name: api
          port: 8080
      timeouts: { request: 10s }
      retries:
        limit: 3
        timeout: 1s
        conditions: [{ status: ["5XX"] }]`

function routeYaml(name: string, spec: string, meta = '', group = 'policy.linkerd.io/v1beta3'): string {
  return `
apiVersion: ${group}
kind: HTTPRoute
metadata: { name: ${name}, namespace: shop${meta} }
spec: ${spec}`
}

const parentApi = 'parentRefs: [{ kind: Service, group: core, name: api, port: 8080 }]'

/** `path weight` of each backend, or why it is none. */
function backendsOf(distribution: Distribution | undefined): string[] {
  if (distribution === undefined || distribution.kind === 'empty') return []
  return distribution.backends.map((each) => {
    const share = 'weight' in each ? ` ${each.weight}` : ''
    const { backend } = each
    if (backend.kind === 'invalid') return `invalid${share}: ${backend.message}`
    return backend.kind === 'balancer' ? `${backend.path}${share}` : `${backend.ip}${share}`
  })
}

function firstRule(policy: OutboundPolicy) {
  const rule = policy.httpRoutes[0]?.rules[0]
  if (rule === undefined) throw new Error('a rule was expected')
  return rule
}

test('the route of the seed retries three times, each try of one second, ten seconds in all', () => {
  const policy = new World().apply(api, seedRoute).towards('api', 8080)
  const kind = outboundPolicy(policy).protocol?.kind
  if (kind?.case !== 'detect') throw new Error('detection was expected')
  const rule = kind.value.http1?.routes[0]?.rules[0]
  assert.is(rule?.timeouts?.request?.seconds, 10n)
  assert.is(rule?.retry?.maxRetries, 3)
  assert.is(rule?.retry?.timeout?.seconds, 1n)
  assert.is(rule?.retry?.maxRequestBytes, 65_536)
  assert.equal(
    rule?.retry?.conditions?.statusRanges.map(({ start, end }) => [start, end]),
    [[500, 599]],
  )
  assert.is(rule?.retry?.backoff?.minBackoff?.nanos, 25_000_000)
  assert.equal(backendsOf(firstRule(policy).backends), ['api.shop.svc.cluster.local:8080 1'])
  assert.equal(kind.value.http2, { ...kind.value.http1, $typeName: kind.value.http2?.$typeName })
})

test('a route for one port leaves the others alone, and one for none is for all', () => {
  const two = serviceYaml('api', '{ name: a, port: 8080 }, { name: b, port: 8081 }')
  const world = new World().apply(two, routeYaml('one', `{ ${parentApi}, rules: [{}] }`))
  assert.is(world.towards('api', 8080).httpRoutes[0]?.meta.name, 'one')
  assert.is(world.towards('api', 8081).httpRoutes[0]?.meta.name, 'http')
  world.apply(routeYaml('all', '{ parentRefs: [{ kind: Service, name: api }], rules: [{}] }'))
  assert.is(world.towards('api', 8081).httpRoutes[0]?.meta.name, 'all')
  assert.equal(
    world.towards('api', 8080).httpRoutes.map(({ meta }) => meta.name),
    ['all', 'one'],
  )
})

test('routes come oldest first, then by name', () => {
  const world = new World().apply(api)
  const dated = (name: string, day: number) =>
    routeYaml(name, `{ ${parentApi}, rules: [{}] }`, `, creationTimestamp: "2026-01-0${day}T00:00:00Z"`)
  world.apply(dated('c', 1), dated('b', 2), dated('a', 2))
  assert.equal(
    world.towards('api', 8080).httpRoutes.map(({ meta }) => meta.name),
    ['c', 'a', 'b'],
  )
})

test('routes in the client’s namespace replace those of the Service, for its clients alone', () => {
  const parent = 'parentRefs: [{ kind: Service, name: api, namespace: shop }]'
  const world = new World().apply(
    api,
    routeYaml('producer', `{ ${parent}, rules: [{}] }`),
    routeYaml('consumer', `{ ${parent}, rules: [{}] }`).replace(
      'namespace: shop }\nspec',
      'namespace: office }\nspec',
    ),
  )
  const names = (source: string) => world.towards('api', 8080, source).httpRoutes.map(({ meta }) => meta.name)
  assert.equal(names('shop'), ['producer'])
  assert.equal(names('office'), ['consumer'])
  assert.equal(names('elsewhere'), ['producer'])
})

test('weights are kept, zero weights get nothing, and what does not exist answers its share with 500', () => {
  const world = new World().apply(
    api,
    serviceYaml('canary', '{ port: 8080 }'),
    routeYaml(
      'split',
      `{ ${parentApi}, rules: [{ backendRefs: [
        { name: api, port: 8080, weight: 90 }, { name: canary, port: 8080, weight: 10 },
        { name: api, port: 8080, weight: 0 }, { name: gone, port: 80, weight: 5 },
        { name: canary, port: 9 }, { name: canary }, { kind: Pod, name: canary, port: 8080 } ] }] }`,
    ),
  )
  const policy = world.towards('api', 8080)
  assert.equal(backendsOf(firstRule(policy).backends), [
    'api.shop.svc.cluster.local:8080 90',
    'canary.shop.svc.cluster.local:8080 10',
    'invalid 5: there is no Service shop/gone',
    'invalid 1: Service shop/canary has no port 9',
    'invalid 1: the reference to Service shop/canary has no port',
    'invalid 1: Pod shop/canary cannot be a backend',
  ])
  const kind = outboundPolicy(policy).protocol?.kind
  const distribution =
    kind?.case === 'detect' ? kind.value.http1?.routes[0]?.rules[0]?.backends?.kind : undefined
  if (distribution?.case !== 'randomAvailable') throw new Error('random available was expected')
  const gone = distribution.value.backends[2]?.backend
  assert.is(gone?.backend?.kind.case, undefined)
  assert.ok(gone?.backend?.queue)
  const filter = gone?.filters[0]?.kind
  assert.is(filter?.case === 'failureInjector' && filter.value.status, 500)
})

test('when no backend has weight every request is answered with 500', () => {
  const rules = 'rules: [{ backendRefs: [{ name: api, port: 8080, weight: 0 }] }]'
  const world = new World().apply(api, routeYaml('none', `{ ${parentApi}, ${rules} }`))
  assert.equal(backendsOf(firstRule(world.towards('api', 8080)).backends), [
    'invalid 1: no backend has any weight',
  ])
})

test('a backend that appears is used at once', () => {
  const rules = 'rules: [{ backendRefs: [{ name: late, port: 80 }] }]'
  const world = new World().apply(api, routeYaml('to-late', `{ ${parentApi}, ${rules} }`))
  assert.match(backendsOf(firstRule(world.towards('api', 8080)).backends)[0] ?? '', /^invalid/)
  world.apply(serviceYaml('late', '{ port: 80 }'))
  assert.equal(backendsOf(firstRule(world.towards('api', 8080)).backends), [
    'late.shop.svc.cluster.local:80 1',
  ])
})

test('matches, hosts and filters of every kind reach the wire', () => {
  const world = new World().apply(
    api,
    routeYaml(
      'full',
      `{ ${parentApi}, hostnames: ["Api.example.com", "*.example.com"], rules: [{
        matches: [{ path: { type: Exact, value: /a }, method: POST,
          headers: [{ name: X-A, value: one }, { name: x-a, value: two }, { name: b, type: RegularExpression, value: "^b+$" }],
          queryParams: [{ name: q, value: "1" }] },
          { path: { type: RegularExpression, value: "/v[0-9]+/.*" } }],
        filters: [
          { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Set, value: s }], add: [{ name: y, value: a }], remove: [Z] } },
          { type: ResponseHeaderModifier, responseHeaderModifier: { remove: [server] } },
          { type: RequestRedirect, requestRedirect: { scheme: https, hostname: new.example.com, port: 8443, statusCode: 301, path: { type: ReplacePrefixMatch, replacePrefixMatch: /b } } }] }] }`,
    ),
  )
  const kind = outboundPolicy(world.towards('api', 8080)).protocol?.kind
  const route = kind?.case === 'detect' ? kind.value.http1?.routes[0] : undefined
  assert.equal(
    route?.hosts.map(({ match }) => (match.case === 'suffix' ? match.value.reverseLabels : match.value)),
    ['api.example.com', ['com', 'example']],
  )
  const [match, regex] = route?.rules[0]?.matches ?? []
  assert.equal(match?.path?.kind, { case: 'exact', value: '/a' })
  assert.equal(match?.method?.type, { case: 'registered', value: 1 })
  assert.equal(
    match?.headers.map(({ name, value }) => [
      name,
      value.case,
      value.case === 'exact' ? text(value.value) : value.value,
    ]),
    [
      ['x-a', 'exact', 'one'],
      ['b', 'regex', '^b+$'],
    ],
  )
  assert.equal(match?.queryParams[0]?.value, { case: 'exact', value: '1' })
  assert.is(regex?.path?.kind.case, 'regex')
  const filters = route?.rules[0]?.filters.map(({ kind: filter }) => filter) ?? []
  const [request, response, redirect] = filters
  assert.is(request?.case === 'requestHeaderModifier' && request.value.set?.headers[0]?.name, 'x-set')
  assert.equal(request?.case === 'requestHeaderModifier' && request.value.remove, ['z'])
  assert.equal(response?.case === 'responseHeaderModifier' && response.value.remove, ['server'])
  assert.is(redirect?.case === 'redirect' && redirect.value.host, 'new.example.com')
  assert.is(redirect?.case === 'redirect' && redirect.value.status, 301)
  assert.equal(redirect?.case === 'redirect' && redirect.value.path?.replace, { case: 'prefix', value: '/b' })
  assert.equal(redirect?.case === 'redirect' && redirect.value.scheme?.type, { case: 'registered', value: 1 })
})

const unusable: [string, string, string][] = [
  ['an unknown filter', '', 'rules: [{ filters: [{ type: URLRewrite }] }]'],
  ['a mirror', '', 'rules: [{ filters: [{ type: RequestMirror }] }]'],
  ['a relative path', '', 'rules: [{ matches: [{ path: { value: a } }] }]'],
  ['a pattern that is none', '', 'rules: [{ matches: [{ path: { type: RegularExpression, value: "(" } }] }]'],
  ['look-around', '', 'rules: [{ matches: [{ path: { type: RegularExpression, value: "/(?!a)" } }] }]'],
  ['a retry of an unknown status', '', 'rules: [{ retries: { conditions: [{ status: ["teapot"] }] } }]'],
  ['an annotation that cannot be read', ', annotations: { retry.linkerd.io/limit: many }', 'rules: [{}]'],
]
for (const [what, meta, rules] of unusable) {
  test(`${what} makes a whole route unusable`, () => {
    const world = new World().apply(api, routeYaml('bad', `{ ${parentApi}, ${rules} }`, meta))
    assert.is(world.towards('api', 8080).httpRoutes[0]?.meta.kind, 'default')
    assert.ok([...world.policies.httpRoutes.rows()][0]?.problem)
  })
}

test('retries and timeouts of a Service hold until a route has its own of that kind', () => {
  const annotated = serviceYaml(
    'api',
    '{ port: 8080 }',
    ', annotations: { retry.linkerd.io/http: "5xx", retry.linkerd.io/limit: "2", timeout.linkerd.io/request: 5s }',
  )
  const world = new World().apply(annotated)
  const plain = firstRule(world.towards('api', 8080))
  assert.equal(plain.retry, { limit: 2, statuses: [{ start: 500, end: 599 }] })
  assert.equal(plain.timeouts, { requestMs: 5000 })

  world.apply(routeYaml('r', `{ ${parentApi}, rules: [{}] }`))
  assert.equal(firstRule(world.towards('api', 8080)).timeouts, { requestMs: 5000 })
  assert.is(firstRule(world.towards('api', 8080)).retry?.limit, 2)

  world.apply(routeYaml('r', `{ ${parentApi}, rules: [{ timeouts: { request: 0s } }] }`))
  assert.is(firstRule(world.towards('api', 8080)).timeouts, undefined)

  const own = ', annotations: { timeout.linkerd.io/idle: 1s, retry.linkerd.io/http: "503" }'
  world.apply(routeYaml('r', `{ ${parentApi}, rules: [{ timeouts: { request: 9s } }] }`, own))
  assert.equal(firstRule(world.towards('api', 8080)).timeouts, { idleMs: 1000, requestMs: 9000 })
  assert.equal(firstRule(world.towards('api', 8080)).retry, {
    limit: 1,
    statuses: [{ start: 503, end: 503 }],
  })

  const before = ', annotations: { timeout.linkerd.io/request: 2s }'
  world.apply(routeYaml('r', `{ ${parentApi}, rules: [{ timeouts: { request: 9s } }] }`, before))
  assert.equal(firstRule(world.towards('api', 8080)).timeouts, { requestMs: 2000 })
})

test('backendRequest limits each try, or the only one', () => {
  const timeouts = 'timeouts: { request: 10s, backendRequest: 2s }'
  const world = new World().apply(api, routeYaml('r', `{ ${parentApi}, rules: [{ ${timeouts} }] }`))
  assert.equal(firstRule(world.towards('api', 8080)).timeouts, { requestMs: 2000 })
  world.apply(routeYaml('r', `{ ${parentApi}, rules: [{ ${timeouts}, retries: { limit: 2 } }] }`))
  assert.equal(firstRule(world.towards('api', 8080)).timeouts, { requestMs: 10_000 })
  assert.equal(firstRule(world.towards('api', 8080)).retry, {
    limit: 2,
    statuses: [{ start: 500, end: 599 }],
    timeoutMs: 2000,
  })
})

test('the retry of the Gateway API is taken as well', () => {
  const rules = 'rules: [{ retry: { codes: [502, 503], attempts: 4 } }]'
  const group = 'gateway.networking.k8s.io/v1'
  const world = new World().apply(api, routeYaml('r', `{ ${parentApi}, ${rules} }`, '', group))
  assert.equal(firstRule(world.towards('api', 8080)).retry, {
    limit: 4,
    statuses: [
      { start: 502, end: 502 },
      { start: 503, end: 503 },
    ],
  })
})

const grpcRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: calls, namespace: shop, annotations: { retry.linkerd.io/grpc: "unavailable,internal" } }
spec:
  parentRefs: [{ group: "", kind: Service, name: api }]
  rules:
  - matches: [{ method: { service: shop.Cart, method: Add }, headers: [{ name: a, value: b }] }]
    backendRefs: [{ name: api, port: 8080 }, { name: gone, port: 1 }]`

test('a GRPCRoute makes its port a gRPC port', () => {
  const world = new World().apply(api, grpcRoute, routeYaml('shadowed', `{ ${parentApi}, rules: [{}] }`))
  const kind = outboundPolicy(world.towards('api', 8080)).protocol?.kind
  if (kind?.case !== 'grpc') throw new Error('gRPC was expected')
  const rule = kind.value.routes[0]?.rules[0]
  assert.is(rule?.matches[0]?.rpc?.service, 'shop.Cart')
  assert.is(rule?.matches[0]?.rpc?.method, 'Add')
  assert.ok(rule?.retry?.conditions?.unavailable)
  assert.ok(rule?.retry?.conditions?.internal)
  assert.not(rule?.retry?.conditions?.cancelled)
  const backends = rule?.backends?.kind
  const gone = backends?.case === 'randomAvailable' ? backends.value.backends[1]?.backend : undefined
  const filter = gone?.filters[0]?.kind
  assert.is(filter?.case === 'failureInjector' && filter.value.code, 13)
})

test('circuit breaking and load bias come from the Service', () => {
  const annotated = (annotations: string) =>
    serviceYaml('api', '{ port: 8080 }', `, annotations: { ${annotations} }`)
  const accrualOf = (annotations: string) => {
    const kind = outboundPolicy(new World().apply(annotated(annotations)).towards('api', 8080)).protocol?.kind
    return kind?.case === 'detect' ? kind.value.http2?.failureAccrual?.kind : undefined
  }
  const consecutive = accrualOf('balancer.linkerd.io/failure-accrual: consecutive')
  if (consecutive?.case !== 'consecutiveFailures') throw new Error('consecutive failures were expected')
  assert.is(consecutive.value.maxFailures, 7)
  assert.is(consecutive.value.backoff?.maxBackoff?.seconds, 60n)
  assert.is(consecutive.value.backoff?.jitterRatio, 0.5)
  const unified = accrualOf(
    'balancer.linkerd.io/failure-accrual: unified, balancer.alpha.linkerd.io/failure-accrual-success-rate-threshold: "0.5"',
  )
  if (unified?.case !== 'unified') throw new Error('unified was expected')
  assert.is(unified.value.successRateThreshold, 0.5)
  assert.is(unified.value.minRequests, 5)
  assert.is(accrualOf('balancer.linkerd.io/failure-accrual: sometimes'), undefined)

  const biased = new World().apply(annotated('balancer.alpha.linkerd.io/penalize-failures: "true"'))
  const kind = outboundPolicy(biased.towards('api', 8080)).protocol?.kind
  const backends = kind?.case === 'detect' ? kind.value.http1?.routes[0]?.rules[0]?.backends?.kind : undefined
  const backend = backends?.case === 'firstAvailable' ? backends.value.backends[0]?.backend?.kind : undefined
  assert.is(backend?.case === 'balancer' && backend.value.load.case, 'penaltyPeakEwma')
})

const seedSplit = `
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: { name: web-canary }
spec:
  service: web
  backends:
    - { service: web-stable, weight: 90 }
    - { service: web-canary, weight: 10 }`

const webs = ['web', 'web-stable', 'web-canary'].map((name) => serviceYaml(name, '{ name: http, port: 80 }'))

test('the TrafficSplit of the seed sends nine tenths one way, whatever the protocol', () => {
  const policy = new World().apply(...webs, seedSplit).towards('web', 80)
  const expected = [
    'web-stable.shop.svc.cluster.local:80 90000',
    'web-canary.shop.svc.cluster.local:80 10000',
  ]
  assert.equal(backendsOf(firstRule(policy).backends), expected)
  assert.equal(backendsOf(policy.opaqueRoutes[0]?.rules[0]?.backends), expected)
})

test('splits of v1alpha1 have quantities, a leaf may have the port by name, and a missing leaf fails its share', () => {
  const world = new World().apply(
    serviceYaml('web', '{ name: http, port: 80 }'),
    serviceYaml('leaf', '{ name: http, port: 8080 }'),
    serviceYaml('other', '{ name: grpc, port: 1 }'),
    `
apiVersion: split.smi-spec.io/v1alpha1
kind: TrafficSplit
metadata: { name: s }
spec:
  service: web.shop.svc.cluster.local
  backends: [{ service: leaf, weight: 900m }, { service: gone, weight: "1" }, { service: other, weight: 1.5 }, { service: leaf, weight: 0 }]`,
  )
  assert.equal(backendsOf(firstRule(world.towards('web', 80)).backends), [
    'leaf.shop.svc.cluster.local:8080 900',
    'invalid 1000: there is no Service shop/gone',
    'invalid 1500: Service shop/other has no port 80',
  ])
})

test('a route’s backends come before a split; a route without backends goes by it', () => {
  const parent = 'parentRefs: [{ kind: Service, name: web }]'
  const world = new World().apply(...webs, seedSplit, routeYaml('r', `{ ${parent}, rules: [{}] }`))
  assert.is(backendsOf(firstRule(world.towards('web', 80)).backends).length, 2)
  world.apply(routeYaml('r', `{ ${parent}, rules: [{ backendRefs: [{ name: web, port: 80 }] }] }`))
  assert.equal(backendsOf(firstRule(world.towards('web', 80)).backends), ['web.shop.svc.cluster.local:80 1'])
})

test('of two splits the older counts, and one that cannot be read does not', () => {
  const other = (day: number, weight: string) => `
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: { name: other, creationTimestamp: "2020-01-0${day}T00:00:00Z" }
spec: { service: web, backends: [{ service: web-stable, weight: ${weight} }] }`
  const dated = seedSplit.replace('web-canary }', 'web-canary, creationTimestamp: "2020-01-02T00:00:00Z" }')
  const count = (...splits: string[]) =>
    backendsOf(firstRule(new World().apply(...webs, ...splits).towards('web', 80)).backends).length
  assert.is(count(dated, other(3, '1')), 2)
  assert.is(count(dated, other(1, '1')), 1)
  assert.is(count(dated, other(1, 'much')), 2)
})

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

test.run()
