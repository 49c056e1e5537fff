import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createServingCertificate } from '../../../src/runtime/pki/serving-certificate.ts'
import { startTestCluster, type TestCluster } from './support.ts'

// biome-ignore lint/suspicious/noExplicitAny: an AdmissionReview request of any kind
type ReviewRequest = any
type Answer = Record<string, unknown>

/** A webhook on the loopback interface, with the certificate of the service `hook` in the namespace `hooks`. */
class Hook {
  readonly seen: ReviewRequest[] = []
  answer: (request: ReviewRequest) => Answer | undefined = () => ({ allowed: true })
  readonly caBundle: string
  readonly #server: Server

  constructor() {
    const hourMs = 3_600_000
    const validity = { notBeforeMs: Date.now() - hourMs, notAfterMs: Date.now() + hourMs }
    const { certificatePem, privateKeyPem, authorityPem } = createServingCertificate(
      'hook',
      'hooks',
      validity,
    )
    this.caBundle = Buffer.from(authorityPem).toString('base64')
    this.#server = createServer({ cert: certificatePem, key: privateKeyPem }, (incoming, response) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString())
        this.seen.push({ ...review.request, path: incoming.url })
        const answer = this.answer(review.request)
        if (!answer) return
        response.end(JSON.stringify({ ...review, response: { uid: review.request.uid, ...answer } }))
      })
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

const test = suite<{ cluster: TestCluster; hook: Hook }>('local/apiserver/webhooks')

const configMaps = '/api/v1/namespaces/default/configmaps'
const group = '/apis/admissionregistration.k8s.io/v1'

test.before(async (context) => {
  context.cluster = await startTestCluster()
  context.hook = new Hook()
  await context.hook.listen()
  const { cluster, hook } = context
  await cluster.http('POST', '/api/v1/namespaces', { body: { metadata: { name: 'hooks' } } })
  const ports = [{ port: 443, targetPort: hook.port }]
  await cluster.http('POST', '/api/v1/namespaces/hooks/services', {
    body: { metadata: { name: 'hook' }, spec: { ports } },
  })
  const slice = {
    metadata: { name: 'hook-1', labels: { 'kubernetes.io/service-name': 'hook' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    ports: [{ port: hook.port }],
  }
  await cluster.http('POST', '/apis/discovery.k8s.io/v1/namespaces/hooks/endpointslices', { body: slice })
})

test.after(async ({ cluster, hook }) => {
  hook.close()
  await cluster.close()
})

test.before.each(async ({ cluster, hook }) => {
  hook.seen.length = 0
  hook.answer = () => ({ allowed: true })
  await cluster.http('DELETE', `${group}/mutatingwebhookconfigurations`)
  await cluster.http('DELETE', `${group}/validatingwebhookconfigurations`)
})

function webhook(hook: Hook, extra: object = {}): Record<string, unknown> {
  return {
    name: 'hook.hooks.example.com',
    clientConfig: { service: { name: 'hook', namespace: 'hooks', path: '/check' }, caBundle: hook.caBundle },
    rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 2,
    ...extra,
  }
}

async function configure(
  cluster: TestCluster,
  kind: 'mutating' | 'validating',
  webhooks: object[],
  name = 'test',
) {
  const answer = await cluster.http('POST', `${group}/${kind}webhookconfigurations`, {
    body: { metadata: { name }, webhooks },
  })
  assert.is(answer.status, 201, answer.text)
}

function patchOf(...operations: object[]): Answer {
  const patch = Buffer.from(JSON.stringify(operations)).toString('base64')
  return { allowed: true, patchType: 'JSONPatch', patch }
}

let counter = 0
function create(cluster: TestCluster, metadata: object = {}, query = '') {
  counter += 1
  return cluster.http('POST', `${configMaps}${query}`, {
    body: { metadata: { name: `c${counter}`, ...metadata }, data: { a: '1' } },
  })
}

test('applies the patch of a mutating webhook', async ({ cluster, hook }) => {
  hook.answer = () => patchOf({ op: 'add', path: '/data/b', value: '2' })
  await configure(cluster, 'mutating', [webhook(hook)])
  const { json } = await create(cluster)
  assert.equal(json.data, { a: '1', b: '2' })
  const [request] = hook.seen
  assert.equal(
    [request.path, request.operation, request.kind.kind, request.namespace],
    ['/check', 'CREATE', 'ConfigMap', 'default'],
  )
  assert.is(request.userInfo.username, 'admin')
  assert.is(request.object.apiVersion, 'v1')
  assert.is(request.oldObject, null)
})

test('refuses what a webhook refuses, in its words and with its code', async ({ cluster, hook }) => {
  hook.answer = () => ({ allowed: false, status: { message: 'not here', code: 418, reason: 'Teapot' } })
  await configure(cluster, 'validating', [webhook(hook)])
  const { status, json } = await create(cluster)
  assert.equal([status, json.reason], [418, 'Teapot'])
  assert.is(json.message, 'admission webhook "hook.hooks.example.com" denied the request: not here')
})

test('passes the warnings of webhooks on', async ({ cluster, hook }) => {
  hook.answer = () => ({ allowed: true, warnings: ['careful'] })
  await configure(cluster, 'validating', [webhook(hook)])
  assert.is((await create(cluster)).headers.warning, '299 - "careful"')
})

test('asks about updates and deletions with the old object', async ({ cluster, hook }) => {
  const { json } = await create(cluster)
  await configure(cluster, 'validating', [webhook(hook)])
  const path = `${configMaps}/${json.metadata.name}`
  await cluster.http('PUT', path, { body: { ...json, data: { a: '2' } } })
  await cluster.http('DELETE', path)
  assert.equal(
    hook.seen.map((request) => [request.operation, request.object?.data.a, request.oldObject?.data.a]),
    [
      ['UPDATE', '2', '1'],
      ['DELETE', undefined, '2'],
    ],
  )
})

test('tells a dry run', async ({ cluster, hook }) => {
  await configure(cluster, 'validating', [webhook(hook)])
  await create(cluster, {}, '?dryRun=All')
  assert.is(hook.seen[0].dryRun, true)
})

const unmatched: [title: string, extra: object][] = [
  [
    'the operation',
    { rules: [{ operations: ['DELETE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }] },
  ],
  [
    'the kind',
    { rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['secrets'] }] },
  ],
  [
    'the group',
    { rules: [{ operations: ['*'], apiGroups: ['apps'], apiVersions: ['*'], resources: ['*'] }] },
  ],
  [
    'a subresource only',
    { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/status'] }] },
  ],
  [
    'the scope',
    {
      rules: [
        { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], scope: 'Cluster' },
      ],
    },
  ],
  ['the namespace', { namespaceSelector: { matchLabels: { mesh: 'on' } } }],
  ['the labels', { objectSelector: { matchLabels: { mesh: 'on' } } }],
  ['a condition', { matchConditions: [{ name: 'no', expression: 'object.data.a == "2"' }] }],
]

for (const [title, extra] of unmatched) {
  test(`is not called when it does not match ${title}`, async ({ cluster, hook }) => {
    await configure(cluster, 'mutating', [webhook(hook, extra)])
    assert.is((await create(cluster)).status, 201)
    assert.is(hook.seen.length, 0)
  })
}

test('is called when namespace, labels and conditions match', async ({ cluster, hook }) => {
  const extra = {
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['default'] }],
    },
    objectSelector: { matchLabels: { mesh: 'on' } },
    matchConditions: [{ name: 'yes', expression: 'request.operation == "CREATE" && object.data.a == "1"' }],
  }
  await configure(cluster, 'mutating', [webhook(hook, extra)])
  await create(cluster, { labels: { mesh: 'on' } })
  assert.is(hook.seen.length, 1)
})

test('is called when a condition cannot be evaluated here', async ({ cluster, hook }) => {
  const matchConditions = [
    { name: 'hard', expression: 'authorizer.group("").resource("x").check("get").allowed()' },
  ]
  await configure(cluster, 'mutating', [webhook(hook, { matchConditions })])
  await create(cluster)
  assert.is(hook.seen.length, 1)
})

test('is called again after others changed the object, when it asks for that', async ({ cluster, hook }) => {
  hook.answer = ({ object }) => {
    const isFirst = object.data.b === undefined
    return isFirst ? patchOf({ op: 'add', path: '/data/b', value: '2' }) : { allowed: true }
  }
  const first = webhook(hook, { name: 'first.hooks.example.com', reinvocationPolicy: 'IfNeeded' })
  const second = webhook(hook, { name: 'second.hooks.example.com' })
  await configure(cluster, 'mutating', [first, second])
  await create(cluster)
  assert.is(hook.seen.length, 2, 'nothing changed after it')
  hook.seen.length = 0
  hook.answer = ({ object }) =>
    patchOf({ op: 'add', path: `/data/k${Object.keys(object.data as object).length}`, value: 'x' })
  await create(cluster)
  assert.is(hook.seen.length, 3)
})

const failures: [title: string, break_: (hook: Hook) => object, why: RegExp][] = [
  [
    'does not answer',
    (hook) => {
      hook.answer = () => undefined
      return { timeoutSeconds: 1 }
    },
    /context deadline exceeded/,
  ],
  [
    'has a certificate of somebody else',
    () => ({ clientConfig: { service: { name: 'hook', namespace: 'hooks' } } }),
    /certificate/,
  ],
  [
    'has no service',
    (hook) => ({ clientConfig: { service: { name: 'none', namespace: 'hooks' }, caBundle: hook.caBundle } }),
    /"none" not found/,
  ],
  [
    'answers nonsense',
    (hook) => {
      hook.answer = () => ({ uid: 'another', allowed: true })
      return {}
    },
    /uid of the answer/,
  ],
]

for (const [title, breakIt, why] of failures) {
  test(`a webhook that ${title} refuses or is ignored, as its policy says`, async ({ cluster, hook }) => {
    const extra = breakIt(hook)
    await configure(cluster, 'validating', [webhook(hook, { ...extra, failurePolicy: 'Fail' })])
    const refused = await create(cluster)
    assert.is(refused.status, 500, refused.text)
    assert.match(String(refused.json.message), why)
    assert.match(String(refused.json.message), 'failed calling webhook "hook.hooks.example.com"')
    await cluster.http('DELETE', `${group}/validatingwebhookconfigurations`)
    await configure(cluster, 'validating', [webhook(hook, { ...extra, failurePolicy: 'Ignore' })])
    assert.is((await create(cluster)).status, 201)
  })
}

test('defaults what a webhook added, and checks it', async ({ cluster, hook }) => {
  const rules = [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }]
  hook.answer = () =>
    patchOf({
      op: 'add',
      path: '/spec/initContainers',
      value: [{ name: 'proxy', image: 'p:1', restartPolicy: 'Always' }],
    })
  await configure(cluster, 'mutating', [webhook(hook, { rules })])
  const pods = '/api/v1/namespaces/default/pods'
  const spec = { containers: [{ name: 'c', image: 'i' }] }
  const { json } = await cluster.http('POST', pods, { body: { metadata: { name: 'injected' }, spec } })
  assert.is(json.spec.initContainers[0].imagePullPolicy, 'IfNotPresent')
  hook.answer = () => patchOf({ op: 'add', path: '/spec/initContainers', value: [{ name: 'Bad_Name' }] })
  const bad = await cluster.http('POST', pods, { body: { metadata: { name: 'bad' }, spec } })
  assert.is(bad.status, 422)
})

test('never asks webhooks about webhook configurations', async ({ cluster, hook }) => {
  hook.answer = () => ({ allowed: false })
  const rules = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }]
  await configure(cluster, 'validating', [webhook(hook, { rules })])
  const removed = await cluster.http('DELETE', `${group}/validatingwebhookconfigurations/test`)
  assert.is(removed.status, 200)
})

test('refuses a configuration that makes no sense', async ({ cluster, hook }) => {
  const bad = {
    ...webhook(hook),
    name: 'short',
    sideEffects: 'Some',
    admissionReviewVersions: [],
    timeoutSeconds: 99,
  }
  const answer = await cluster.http('POST', `${group}/mutatingwebhookconfigurations`, {
    body: { metadata: { name: 'bad' }, webhooks: [bad] },
  })
  assert.is(answer.status, 422)
  assert.is(answer.json.details.causes.length, 4)
})

test.run()
