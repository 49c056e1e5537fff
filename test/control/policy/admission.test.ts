import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { type ReviewedObject, reviewObject } from '../../../src/runtime/control/policy/admission/review.ts'
import { meshConfig, World } from '../../support/policy-state.ts'

const test = suite('control/policy: admission')

const world = new World().apply(
  '{ apiVersion: v1, kind: Service, metadata: { name: api }, spec: { clusterIP: 10.96.0.1, ports: [{ port: 80 }] } }',
  '{ apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: { name: web }, spec: { podSelector: {}, port: 80 } }',
  '{ apiVersion: policy.linkerd.io/v1alpha1, kind: MeshTLSAuthentication, metadata: { name: friends }, spec: { identities: ["*"] } }',
)

const policy = 'policy.linkerd.io'
const gateway = 'gateway.networking.k8s.io'

function review(kind: string, spec: string, { group = policy, meta = '' } = {}) {
  const object: unknown = parse(`{ metadata: { name: x${meta} }, spec: ${spec} }`)
  const reviewed: ReviewedObject = { group, kind, namespace: 'shop', object }
  const { problems, warnings } = reviewObject(reviewed, { ...world, config: meshConfig })
  return { problems, warnings }
}

const target = 'targetRef: { group: policy.linkerd.io, kind: Server, name: web }'
const toApi = 'parentRefs: [{ kind: Service, name: api }]'
const toNetwork = '{ group: policy.linkerd.io, kind: EgressNetwork, name: n }'

const accepted: [string, string, { group?: string; meta?: string }?][] = [
  ['Server', '{ podSelector: {}, port: http, proxyProtocol: gRPC, accessPolicy: audit }'],
  ['Server', '{ externalWorkloadSelector: {}, port: 65535 }'],
  ['AuthorizationPolicy', `{ ${target}, requiredAuthenticationRefs: [{ kind: ServiceAccount, name: a }] }`],
  [
    'AuthorizationPolicy',
    '{ targetRef: { kind: Namespace, name: shop }, requiredAuthenticationRefs: [{ kind: ServiceAccount, name: a }] }',
  ],
  [
    'AuthorizationPolicy',
    `{ ${target}, requiredAuthenticationRefs: [{ group: policy.linkerd.io, kind: MeshTLSAuthentication, name: friends }] }`,
  ],
  ['MeshTLSAuthentication', '{ identities: ["*", "*.ns.x", a.b, "spiffe://td/path"] }'],
  [
    'MeshTLSAuthentication',
    '{ identityRefs: [{ kind: ServiceAccount, name: a }, { kind: Namespace, name: b }] }',
  ],
  [
    'NetworkAuthentication',
    '{ networks: [{ cidr: 10.0.0.0/8, except: [10.1.0.0/16] }, { cidr: "fd00::/8" }] }',
  ],
  ['ServerAuthorization', '{ server: { name: web }, client: { unauthenticated: true } }'],
  [
    'ServerAuthorization',
    '{ server: { selector: {} }, client: { meshTLS: { serviceAccounts: [{ name: a }] } } }',
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{ matches: [{ path: { value: /a } }], backendRefs: [{ name: api, port: 80 }], retries: { limit: 3, conditions: [{ status: [5XX, 429] }] } }] }`,
  ],
  ['HTTPRoute', `{ ${toApi} }`, { group: gateway }],
  [
    'HTTPRoute',
    '{ parentRefs: [{ name: ingress }], rules: [{ filters: [{ type: RequestMirror }] }] }',
    { group: gateway },
  ],
  ['GRPCRoute', `{ ${toApi}, rules: [{ matches: [{ method: { service: a.B } }] }] }`, { group: gateway }],
  ['EgressNetwork', '{ trafficPolicy: Deny, networks: [{ cidr: 93.184.0.0/16 }] }'],
  [
    'HTTPLocalRateLimitPolicy',
    `{ ${target}, total: { requestsPerSecond: 10 }, identity: { requestsPerSecond: 5 } }`,
  ],
  [
    'TrafficSplit',
    '{ service: api, backends: [{ service: api, weight: 500m }] }',
    { group: 'split.smi-spec.io' },
  ],
]
for (const [kind, spec, options] of accepted) {
  test(`takes ${kind} ${spec.slice(0, 100)}`, () => {
    assert.equal(review(kind, spec, options), { problems: [], warnings: [] })
  })
}

const refused: [string, string, RegExp, { group?: string; meta?: string }?][] = [
  ['Server', '{ port: 80 }', /^spec: /],
  ['Server', '{ podSelector: {}, externalWorkloadSelector: {}, port: 80 }', /^spec: /],
  ['Server', '{ podSelector: {} }', /^spec\.port: it is missing/],
  ['Server', '{ podSelector: {}, port: 0 }', /^spec\.port: 0 is not/],
  ['Server', '{ podSelector: {}, port: Not_A_Name }', /^spec\.port: "Not_A_Name"/],
  ['Server', '{ podSelector: {}, port: 80, proxyProtocol: http }', /^spec\.proxyProtocol: "http"/],
  ['Server', '{ podSelector: {}, port: 80, accessPolicy: everyone }', /^spec\.accessPolicy: "everyone"/],
  ['AuthorizationPolicy', `{ ${target} }`, /^spec\.requiredAuthenticationRefs: it is missing/],
  [
    'AuthorizationPolicy',
    '{ targetRef: { kind: Pod, name: p }, requiredAuthenticationRefs: [] }',
    /^spec\.targetRef: Pod/,
  ],
  [
    'AuthorizationPolicy',
    '{ targetRef: { kind: Namespace, name: office }, requiredAuthenticationRefs: [] }',
    /^spec\.targetRef\.name/,
  ],
  [
    'AuthorizationPolicy',
    `{ ${target.replace(' }', ', namespace: office }')}, requiredAuthenticationRefs: [] }`,
    /^spec\.targetRef\.namespace/,
  ],
  [
    'AuthorizationPolicy',
    `{ ${target}, requiredAuthenticationRefs: [{ kind: ServiceAccount, name: a }, { kind: ServiceAccount, name: b }] }`,
    /requiredAuthenticationRefs\[1\]: there is more than one/,
  ],
  [
    'AuthorizationPolicy',
    `{ ${target}, requiredAuthenticationRefs: [{ kind: Secret, name: a }] }`,
    /requiredAuthenticationRefs\[0\]: Secret/,
  ],
  ['MeshTLSAuthentication', '{}', /^spec: there must be either/],
  [
    'MeshTLSAuthentication',
    '{ identities: [a], identityRefs: [{ kind: Namespace, name: b }] }',
    /^spec: there must be either/,
  ],
  ['MeshTLSAuthentication', '{ identities: [a, "b*"] }', /^spec\.identities\[1\]: "b\*"/],
  ['MeshTLSAuthentication', '{ identityRefs: [{ kind: Pod, name: b }] }', /^spec\.identityRefs\[0\]: Pod/],
  ['NetworkAuthentication', '{ networks: [] }', /^spec\.networks: /],
  ['NetworkAuthentication', '{ networks: [{ cidr: 10.0.0.0/33 }] }', /^spec\.networks\[0\]\.cidr: /],
  [
    'NetworkAuthentication',
    '{ networks: [{ cidr: 10.0.0.0/8, except: [11.0.0.0/16] }] }',
    /^spec\.networks\[0\]\.except\[0\]: 11\.0\.0\.0\/16 is not inside/,
  ],
  ['NetworkAuthentication', '{ networks: [{ cidr: 10.1.0.0/16, except: [10.0.0.0/8] }] }', /is not inside/],
  ['ServerAuthorization', '{ server: {}, client: { unauthenticated: true } }', /^spec\.server: /],
  [
    'ServerAuthorization',
    '{ server: { name: a }, client: { meshTLS: {} } }',
    /^spec\.client: it names nobody/,
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{}, { matches: [{}, { path: { value: a } }] }] }`,
    /^spec\.rules\[1\]\.matches\[1\]: the path "a"/,
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{ backendRefs: [{ name: api }] }] }`,
    /^spec\.rules\[0\]\.backendRefs\[0\]\.port: /,
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{ backendRefs: [{ name: api, port: 80, filters: [{ type: URLRewrite }] }] }] }`,
    /^spec\.rules\[0\]\.backendRefs\[0\]\.filters\[0\]: filters of type URLRewrite/,
  ],
  ['HTTPRoute', `{ parentRefs: [${toNetwork}] }`, /^spec\.parentRefs\[0\]\.port: /],
  [
    'HTTPRoute',
    '{ parentRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: g }] }',
    /^spec\.parentRefs\[0\]: Gateway/,
  ],
  [
    'HTTPRoute',
    `{ ${toApi} }`,
    /^retry\.linkerd\.io\/limit: /,
    { meta: ', annotations: { retry.linkerd.io/limit: x }' },
  ],
  ['EgressNetwork', '{ trafficPolicy: Maybe }', /^spec\.trafficPolicy: /],
  ['EgressNetwork', '{ trafficPolicy: Allow, networks: [] }', /^spec\.networks: it is empty/],
  ['HTTPLocalRateLimitPolicy', `{ ${target} }`, /^spec: it limits nothing/],
  [
    'HTTPLocalRateLimitPolicy',
    `{ ${target}, total: { requestsPerSecond: 0 } }`,
    /^spec\.total\.requestsPerSecond: /,
  ],
  [
    'HTTPLocalRateLimitPolicy',
    '{ targetRef: { kind: Service, name: api }, total: { requestsPerSecond: 1 } }',
    /^spec\.targetRef: /,
  ],
  [
    'TrafficSplit',
    '{ service: api, backends: [{ service: api, weight: much }] }',
    /^spec: a backend/,
    { group: 'split.smi-spec.io' },
  ],
  ['TrafficSplit', '{ service: api, backends: [] }', /^spec\.backends: /, { group: 'split.smi-spec.io' }],
  ['Unknown', '{}', /^kind: Unknown/],
]
for (const [kind, spec, message, options] of refused) {
  test(`refuses ${kind} ${spec.slice(0, 120)}`, () => {
    const { problems } = review(kind, spec, options)
    assert.ok(
      problems.some((problem) => message.test(problem)),
      JSON.stringify(problems),
    )
  })
}

const odd: [string, string, RegExp, { group?: string }?][] = [
  ['AuthorizationPolicy', `{ ${target}, requiredAuthenticationRefs: [] }`, /everybody is admitted/],
  [
    'AuthorizationPolicy',
    `{ ${target.replace('web', 'gone')}, requiredAuthenticationRefs: [{ kind: ServiceAccount, name: a }] }`,
    /there is no Server shop\/gone/,
  ],
  [
    'AuthorizationPolicy',
    `{ ${target}, requiredAuthenticationRefs: [{ group: policy.linkerd.io, kind: NetworkAuthentication, name: gone }] }`,
    /NetworkAuthentication shop\/gone; until it is there, nobody/,
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{ backendRefs: [{ name: gone, port: 80 }] }] }`,
    /there is no Service shop\/gone/,
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{ backendRefs: [{ name: api, port: 80, weight: 0 }] }] }`,
    /no backend has any weight/,
  ],
  [
    'HTTPRoute',
    '{ parentRefs: [{ kind: Service, name: gone }] }',
    /parentRefs\[0\]: there is no Service shop\/gone/,
  ],
  [
    'HTTPRoute',
    `{ ${toApi}, rules: [{ filters: [{ type: RequestMirror }] }] }`,
    /filters\[0\]: filters of type RequestMirror/,
    { group: gateway },
  ],
  ['EgressNetwork', '{ trafficPolicy: Allow, networks: [{ cidr: 10.0.0.0/9 }] }', /overlap/],
  [
    'HTTPLocalRateLimitPolicy',
    `{ ${target}, total: { requestsPerSecond: 1 }, identity: { requestsPerSecond: 2 } }`,
    /more than the total/,
  ],
  [
    'TrafficSplit',
    '{ service: api, backends: [{ service: gone, weight: 0 }] }',
    /there is no Service shop\/gone/,
    { group: 'split.smi-spec.io' },
  ],
]
for (const [kind, spec, message, options] of odd) {
  test(`warns of ${kind} ${spec.slice(0, 120)}`, () => {
    const { problems, warnings } = review(kind, spec, options)
    assert.equal(problems, [])
    assert.ok(
      warnings.some((warning) => message.test(warning)),
      JSON.stringify(warnings),
    )
  })
}

test('whatever is sent, it is answered', () => {
  const kinds = [
    'Server',
    'AuthorizationPolicy',
    'MeshTLSAuthentication',
    'HTTPRoute',
    'EgressNetwork',
    'ServerAuthorization',
  ]
  const specs = fc.dictionary(
    fc.constantFrom(
      'port',
      'targetRef',
      'identities',
      'rules',
      'parentRefs',
      'networks',
      'client',
      'podSelector',
    ),
    fc.jsonValue(),
  )
  fc.assert(
    fc.property(fc.constantFrom(...kinds), specs, (kind, spec) => {
      const reviewed: ReviewedObject = {
        group: policy,
        kind,
        namespace: 'shop',
        object: { metadata: { name: 'x' }, spec },
      }
      reviewObject(reviewed, { ...world, config: meshConfig })
    }),
  )
})

test.run()
