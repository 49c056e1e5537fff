import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { apply as applyAll } from '../../src/runtime/actions/apply.ts'
import { resolveValues } from '../../src/runtime/actions/resolve-values.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeClient, KubeObject } from '../../src/runtime/kube/types.ts'
import { createApiServer } from '../../src/runtime/local/apiserver/server.ts'
import type { ApiServer } from '../../src/runtime/local/apiserver/types.ts'
import { createServingCertificate } from '../../src/runtime/pki/serving-certificate.ts'
import { systemClock } from '../../src/runtime/shared/clock.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { renderControlPlane, renderCrds } from '../../src/templates/control-plane.ts'

/** The manifests against an API server that validates, defaults and prunes. */
const test = suite('templates/api-server')

let server: ApiServer
let client: KubeClient

/** Lines of what was applied. */
async function apply(objects: readonly object[]): Promise<string[]> {
  const lines: string[] = []
  await applyAll(
    objects as KubeObject[],
    { namespace: 'default', fieldManager: 'test', force: false },
    { client, clock: systemClock, onApplied: (line) => void lines.push(line) },
  )
  return lines
}

async function refusalOf(object: object): Promise<string> {
  try {
    return `accepted: ${(await apply([object])).join()}`
  } catch (thrown) {
    assert.instance(thrown, MeshError)
    return (thrown as MeshError).reason ?? ''
  }
}

test.before(async () => {
  const nowMs = Date.now()
  const validity = { notBeforeMs: nowMs - 60_000, notAfterMs: nowMs + 3_600_000 }
  const { certificatePem, privateKeyPem, authorityPem } = createServingCertificate('api', 'default', validity)
  server = await createApiServer({
    tls: { certificate: certificatePem, privateKey: privateKeyPem },
    clusterCa: authorityPem,
  })
  client = server.client
  const values = await resolveValues({ ha: true, set: ['installGatewayAPI=true'] }, async () => '')
  await apply(renderCrds(values))
  await apply(renderControlPlane(values))
})

test.after(() => server.close())

test('applying the same again changes nothing', async () => {
  const values = await resolveValues({ ha: true, set: ['installGatewayAPI=true'] }, async () => '')
  const lines = await apply([...renderCrds(values), ...renderControlPlane(values)])
  assert.equal(
    lines.filter((line) => !line.endsWith(' unchanged')),
    [],
  )
  assert.ok(lines.includes('deployment.apps/linkerd-identity unchanged'))
})

test('every custom resource is accepted by the API server', async () => {
  const { items } = await client.list<
    KubeObject & { status?: { conditions?: { type: string; status: string }[] } }
  >(resources.customResourceDefinitions)
  assert.is(items.length, 13)
  for (const { metadata, status } of items) {
    const bad = (status?.conditions ?? []).filter(
      ({ type, status: value }) =>
        (type === 'NonStructuralSchema' && value === 'True') ||
        (['Established', 'NamesAccepted'].includes(type) && value !== 'True'),
    )
    assert.equal(bad, [], metadata.name)
  }
})

const valid: Record<string, string> = {
  'the retry policy of the seed': `
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: api-retries, namespace: default}
spec:
  parentRefs: [{name: api, kind: Service}]
  rules:
  - matches: [{ path: { type: PathPrefix, value: "/" } }]
    filters: []
    backendRefs: [{name: api, port: 8080}]
    timeouts: { request: 10s }
    retries: {limit: 3, timeout: 1s, conditions: [{ status: ["5XX"] }]}`,
  'status codes as numbers': `
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: numbers, namespace: default}
spec: {parentRefs: [{name: api}], rules: [{retries: {conditions: [{status: [503, "500-504", gateway-error]}]}}]}`,
  'the canary of the seed': `
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: { name: web-canary }
spec: {service: web, backends: [{ service: web-stable, weight: 90 }, { service: web-canary, weight: 10 }]}`,
  'weights as quantities': `
apiVersion: split.smi-spec.io/v1alpha1
kind: TrafficSplit
metadata: { name: old }
spec: {service: web, backends: [{ service: a, weight: 900m }]}`,
  'a Server by port name': `
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, port: http, proxyProtocol: HTTP/1}`,
  'an old Server': `
apiVersion: policy.linkerd.io/v1beta1
kind: Server
metadata: {name: old}
spec: {podSelector: {matchExpressions: [{key: app, operator: In, values: [a]}]}, port: 80}`,
  'an AuthorizationPolicy': `
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: web}
  requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: clients}]`,
  'a MeshTLSAuthentication': `
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: clients}
spec: {identities: ["*.shop.serviceaccount.identity.linkerd.cluster.local"]}`,
  'a NetworkAuthentication': `
apiVersion: policy.linkerd.io/v1alpha1
kind: NetworkAuthentication
metadata: {name: inside}
spec: {networks: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}`,
  'a ServerAuthorization': `
apiVersion: policy.linkerd.io/v1beta1
kind: ServerAuthorization
metadata: {name: web}
spec: {server: {name: web}, client: {meshTLS: {serviceAccounts: [{name: web}]}}}`,
  'a rate limit': `
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: web}
spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: web}, total: {requestsPerSecond: 100}}`,
  'an EgressNetwork': `
apiVersion: policy.linkerd.io/v1alpha1
kind: EgressNetwork
metadata: {name: out}
spec: {trafficPolicy: Deny}`,
  'a ServiceProfile': `
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {name: web.default.svc.cluster.local}
spec: {routes: [{name: all, condition: {all: [{method: GET}, {not: {pathRegex: /x}}]}, isRetryable: true}]}`,
  'an ExternalWorkload': `
apiVersion: workload.linkerd.io/v1beta1
kind: ExternalWorkload
metadata: {name: vm}
spec: {meshTLS: {identity: a.b, serverName: a.b}, ports: [{port: 80}], workloadIPs: [{ip: 192.0.2.1}]}`,
  'a GRPCRoute': `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: g}
spec: {parentRefs: [{group: "", kind: Service, name: api}], rules: [{matches: [{method: {service: a.B}}]}]}`,
}

test('without its controller the webhook of policies holds them back, when it was asked to', async () => {
  const text =
    '{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: x}, spec: {podSelector: {}, port: 1}}'
  await apply([parse(text) as object]).then(
    () => assert.unreachable(),
    (error: { reason?: string }) => assert.match(error.reason ?? '', /linkerd-policy-validator/),
  )
  // From here on the schemas are asked, and nobody runs that could answer for the webhook.
  await client.remove(resources.validatingWebhookConfigurations, 'linkerd-policy-validator-webhook-config')
})

for (const [what, text] of Object.entries(valid)) {
  test(`accepts ${what}`, async () => {
    assert.match((await apply([parse(text) as object]))[0] ?? '', /created$/)
  })
}

const invalid: Record<string, [string, RegExp]> = {
  'a Server with two selectors': [
    '{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: x}, spec: {podSelector: {}, externalWorkloadSelector: {}, port: 1}}',
    /oneOf|exactly one|one and only one/i,
  ],
  'a protocol that is none': [
    '{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: x}, spec: {podSelector: {}, port: 1, proxyProtocol: HTTP/9}}',
    /proxyProtocol/,
  ],
  'a retry of no status': [
    '{apiVersion: policy.linkerd.io/v1beta3, kind: HTTPRoute, metadata: {name: x}, spec: {rules: [{retries: {conditions: [{status: ["6XX"]}]}}]}}',
    /retries/,
  ],
  'a duration that is none': [
    '{apiVersion: policy.linkerd.io/v1beta3, kind: HTTPRoute, metadata: {name: x}, spec: {rules: [{timeouts: {request: soon}}]}}',
    /timeouts/,
  ],
  'both kinds of identities': [
    '{apiVersion: policy.linkerd.io/v1alpha1, kind: MeshTLSAuthentication, metadata: {name: x}, spec: {identities: ["*"], identityRefs: [{kind: ServiceAccount}]}}',
    /oneOf|exactly one|one and only one/i,
  ],
  'a split without a service': [
    '{apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, metadata: {name: x}, spec: {backends: []}}',
    /service/,
  ],
  'a rate below one': [
    '{apiVersion: policy.linkerd.io/v1alpha1, kind: HTTPLocalRateLimitPolicy, metadata: {name: x}, spec: {targetRef: {kind: Server, name: s}, total: {requestsPerSecond: 0}}}',
    /requestsPerSecond/,
  ],
}

for (const [what, [text, reason]] of Object.entries(invalid)) {
  test(`refuses ${what}`, async () => {
    assert.match(await refusalOf(parse(text) as object), reason)
  })
}

test('what a Server does not say is decided by the schema', async () => {
  await apply([parse(valid['a Server by port name'] ?? '')])
  const stored = await client.read<KubeObject & { spec: { accessPolicy?: string } }>(
    resources.servers,
    'web',
    'default',
  )
  assert.is(stored?.spec.accessPolicy, 'deny')
})

async function mayDo(account: string, verb: string, group: string, resource: string, name?: string) {
  const response = await client.raw({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: `system:serviceaccount:linkerd:linkerd-${account}`,
        resourceAttributes: {
          namespace: 'linkerd',
          verb,
          group,
          resource,
          ...(name === undefined ? {} : { name }),
        },
      },
    }),
  })
  const review = JSON.parse(response.body) as { status?: { allowed?: boolean } }
  assert.is(response.status, 201, response.body)
  return review.status?.allowed === true
}

const rights: [string, string, string, string, string?][] = [
  ['identity', 'create', 'authentication.k8s.io', 'tokenreviews'],
  ['identity', 'create', '', 'secrets'],
  ['identity', 'update', '', 'secrets', 'linkerd-identity-issuer'],
  ['identity', 'update', '', 'configmaps', 'linkerd-identity-trust-roots'],
  // A rotation waits for the proxies that there are.
  ['identity', 'list', '', 'pods'],
  ['destination', 'watch', '', 'pods'],
  ['destination', 'watch', 'discovery.k8s.io', 'endpointslices'],
  ['destination', 'watch', 'policy.linkerd.io', 'servers'],
  ['destination', 'get', 'apiextensions.k8s.io', 'customresourcedefinitions'],
  ['proxy-injector', 'watch', '', 'namespaces'],
  ['proxy-injector', 'get', 'apps', 'replicasets'],
  [
    'proxy-injector',
    'patch',
    'admissionregistration.k8s.io',
    'mutatingwebhookconfigurations',
    'linkerd-proxy-injector-webhook-config',
  ],
]

const noRights: [string, string, string, string, string?][] = [
  ['identity', 'get', '', 'secrets', 'other'],
  ['identity', 'list', '', 'secrets'],
  ['identity', 'delete', '', 'pods'],
  ['destination', 'get', '', 'secrets'],
  ['destination', 'patch', 'policy.linkerd.io', 'servers'],
  ['destination', 'delete', '', 'pods'],
  ['proxy-injector', 'get', '', 'secrets', 'linkerd-identity-issuer'],
  ['proxy-injector', 'patch', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', 'other'],
  ['proxy-injector', 'create', '', 'pods'],
]

test('controllers may do what they do, and no more', async () => {
  for (const right of rights) assert.ok(await mayDo(...right), right.join(' '))
  for (const right of noRights) assert.not.ok(await mayDo(...right), right.join(' '))
})

test.run()
