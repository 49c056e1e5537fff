import { request as httpsRequest } from 'node:https'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { reviewServiceProfile } from '../../../src/runtime/control/destination/review-profile.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../../src/runtime/kube/types.ts'
import { type DestinationUnderTest, startDestination } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { until } from '../../support/until.ts'

interface Context {
  kube: FakeKube
  control: DestinationUnderTest
}

type Configuration = KubeObject & { webhooks: { name: string; clientConfig: { caBundle?: string } }[] }

const test = suite<Context>('control/destination: validating webhook')
const configName = 'linkerd-policy-validator-webhook-config'

test.before.each(async (context) => {
  context.kube = new FakeKube()
  context.kube.put<Configuration>(resources.validatingWebhookConfigurations, {
    metadata: { name: configName },
    webhooks: [{ name: 'linkerd-policy-validator.linkerd.io', clientConfig: {} }],
  })
  context.control = await startDestination(context.kube)
  await until('the API server is told whom to trust', async () => (await bundleOf(context.kube)) !== '')
})

test.after.each(async ({ control }) => {
  await control.close()
})

async function bundleOf(kube: FakeKube): Promise<string> {
  const found = await kube.read<Configuration>(resources.validatingWebhookConfigurations, configName)
  return Buffer.from(found?.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString('utf8')
}

interface Answer {
  uid: string
  allowed: boolean
  warnings?: string[]
  status?: { message: string }
}

/** Asks as the API server does: over TLS, trusting the bundle of the configuration. */
async function review(
  { kube, control }: Context,
  kind: { group: string; kind: string },
  spec: unknown,
  operation = 'CREATE',
): Promise<Answer> {
  const object = operation === 'DELETE' ? null : { metadata: { name: 'x', namespace: 'shop' }, spec }
  const request = { uid: 'u1', kind: { version: 'v1', ...kind }, namespace: 'shop', operation, object }
  const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
  const ca = await bundleOf(kube)
  const text = await new Promise<string>((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: '127.0.0.1',
        port: control.validatorPort,
        method: 'POST',
        path: '/',
        ca,
        agent: false,
        servername: 'linkerd-policy-validator.linkerd.svc',
        headers: { 'content-type': 'application/json' },
      },
      (response) => {
        let received = ''
        response.on('data', (chunk: Buffer) => {
          received += chunk.toString('utf8')
        })
        response.on('end', () => resolve(received))
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
  return (JSON.parse(text) as { response: Answer }).response
}

test('takes what is right, with warnings for what is odd', async (context) => {
  const answer = await review(
    context,
    { group: 'policy.linkerd.io', kind: 'AuthorizationPolicy' },
    {
      targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: 'gone' },
      requiredAuthenticationRefs: [{ kind: 'ServiceAccount', name: 'a' }],
    },
  )
  assert.is(answer.uid, 'u1')
  assert.ok(answer.allowed)
  assert.equal(answer.warnings, ['spec.targetRef: there is no Server shop/gone'])
})

test('refuses what is wrong, and names the field and the code', async (context) => {
  const answer = await review(
    context,
    { group: 'policy.linkerd.io', kind: 'Server' },
    { podSelector: {}, port: 0 },
  )
  assert.not(answer.allowed)
  assert.match(answer.status?.message ?? '', /MESH_POLICY_INVALID.*spec\.port/)
})

test('deletions pass, and unknown kinds do not', async (context) => {
  assert.ok((await review(context, { group: 'policy.linkerd.io', kind: 'Server' }, {}, 'DELETE')).allowed)
  assert.not((await review(context, { group: 'x', kind: 'Y' }, {})).allowed)
})

test('ServiceProfiles are reviewed as well', async (context) => {
  const kind = { group: 'linkerd.io', kind: 'ServiceProfile' }
  assert.ok((await review(context, kind, { routes: [{ name: 'a', condition: { method: 'GET' } }] })).allowed)
  const refused = await review(context, kind, { routes: [{ name: 'a' }] })
  assert.match(refused.status?.message ?? '', /spec\.routes\[0\]\.condition/)
})

const condition = { pathRegex: '/a' }
const refusedProfiles: [unknown, RegExp][] = [
  [{ routs: [] }, /^spec\.routs: there is no such field/],
  [{ routes: [{ condition }] }, /^spec\.routes\[0\]\.name/],
  [{ routes: [{ name: 'a', condition: {} }] }, /^spec\.routes\[0\]\.condition: it is empty/],
  [
    { routes: [{ name: 'a', condition: { all: [{ path: '/a' }] } }] },
    /condition\.all\[0\]\.path: there is no such/,
  ],
  [{ routes: [{ name: 'a', condition: { pathRegex: '(' } }] }, /condition\.pathRegex: "\("/],
  [{ routes: [{ name: 'a', condition, timeout: '10' }] }, /^spec\.routes\[0\]\.timeout: "10"/],
  [
    { routes: [{ name: 'a', condition, responseClasses: [{ condition: { status: { min: 99 } } }] }] },
    /responseClasses\[0\]\.condition\.status\.min: 99/,
  ],
  [
    {
      routes: [
        { name: 'a', condition, responseClasses: [{ condition: { status: { min: 500, max: 400 } } }] },
      ],
    },
    /status\.max: 400 is less/,
  ],
  [{ retryBudget: { retryRatio: -1, ttl: '10s' } }, /^spec\.retryBudget\.retryRatio: -1/],
  [{ retryBudget: { retryRatio: 1 } }, /^spec\.retryBudget\.ttl: it is missing/],
]
for (const [spec, message] of refusedProfiles) {
  test(`refuses a ServiceProfile ${JSON.stringify(spec)}`, () => {
    const problems = reviewServiceProfile({ metadata: { name: 'web.shop.svc.cluster.local' }, spec })
    assert.ok(
      problems.some((problem) => message.test(problem)),
      JSON.stringify(problems),
    )
  })
}

test('the name of a ServiceProfile is a DNS name', () => {
  assert.equal(reviewServiceProfile({ metadata: { name: 'Web' }, spec: {} }), [
    'metadata.name: "Web" is not a DNS name',
  ])
})

test.run()
