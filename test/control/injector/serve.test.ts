import { Agent, request as httpsRequest } from 'node:https'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import { flags, startInjector } from '../../../src/runtime/control/injector/main.ts'
import type { PatchOperation } from '../../../src/runtime/control/injector/patch.ts'
import type { Pod } from '../../../src/runtime/control/injector/pod.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../../src/runtime/kube/types.ts'
import { createTrustAnchor } from '../../../src/runtime/pki/authority.ts'
import { parseCertificates } from '../../../src/runtime/pki/certificate.ts'
import { defaultValues } from '../../../src/templates/values.ts'
import { controllerDeps, type TestDeps } from '../../support/controller-deps.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { until } from '../../support/until.ts'
import { patched, podOf } from './objects.ts'

type Configuration = KubeObject & {
  webhooks: { name: string; clientConfig: { caBundle?: string; path?: string } }[]
}
type Secret = KubeObject & { data: Record<string, string> }
type Event = KubeObject & {
  reason: string
  message: string
  type: string
  involvedObject: { name: string; uid?: string }
}

interface World extends TestDeps {
  kube: FakeKube
  clock: FakeClock
  port: number
  close: () => Promise<void>
}

const dayMs = 86_400_000
const configName = 'linkerd-proxy-injector-webhook-config'
const secretName = 'linkerd-proxy-injector-k8s-tls'

async function start(kube = seeded(), nowMs = Date.now()): Promise<World> {
  const clock = new FakeClock(nowMs)
  const made = controllerDeps(kube, flags, ['--listen-addr=127.0.0.1:0'], clock)
  const injector = await startInjector(made.deps)
  await until('the injector is ready', () => made.readiness.missing().length === 0)
  const close = async () => {
    made.stop()
    await injector.stopped
  }
  return { ...made, kube, clock, port: injector.address.port, close }
}

function seeded(): FakeKube {
  const kube = new FakeKube()
  const anchor = createTrustAnchor('root', { notBeforeMs: Date.now() - 1000, notAfterMs: Date.now() + 1e11 })
  const put = (name: string, data: Record<string, string>) =>
    kube.put<KubeObject & { data: object }>(resources.configMaps, {
      metadata: { name, namespace: 'linkerd' },
      data,
    })
  put('linkerd-config', { values: stringify(defaultValues) })
  put('linkerd-identity-trust-roots', { 'ca-bundle.crt': anchor.certificate.toPem() })
  kube.put<KubeObject>(
    resources.namespaces,
    { metadata: { name: 'shop', annotations: { 'linkerd.io/inject': 'enabled' } } },
    { metadata: { name: 'plain' } },
  )
  kube.put<Configuration>(resources.mutatingWebhookConfigurations, {
    metadata: { name: configName },
    webhooks: [{ name: 'linkerd-proxy-injector.linkerd.io', clientConfig: { path: '/' } }],
  })
  kube.put<KubeObject>(resources.replicaSets, {
    metadata: {
      name: 'web-5d4f8c7b9d',
      namespace: 'shop',
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'deployment-1', controller: true },
      ],
    },
  })
  return kube
}

async function bundleOf(kube: FakeKube): Promise<string> {
  const configuration = await kube.read<Configuration>(resources.mutatingWebhookConfigurations, configName)
  return Buffer.from(configuration?.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString()
}

/** Posts as the API server does: by the bundle of the configuration, for the name of the Service. */
async function post(world: World, body: string, ca?: string): Promise<{ status: number; body: string }> {
  const agent = new Agent({
    ca: ca ?? (await bundleOf(world.kube)),
    servername: 'linkerd-proxy-injector.linkerd.svc',
  })
  return (await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: world.port, path: '/', method: 'POST', agent }
    const outgoing = httpsRequest(options, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  }).finally(() => agent.destroy())) as Promise<{ status: number; body: string }>
}

function reviewOf(
  object: unknown,
  namespace = 'shop',
  kind = 'Pod',
  apiVersion = 'admission.k8s.io/v1',
): string {
  const request = {
    uid: 'u-1',
    kind: { group: '', version: 'v1', kind },
    namespace,
    operation: 'CREATE',
    object,
  }
  return JSON.stringify({ apiVersion, kind: 'AdmissionReview', request })
}

interface Review {
  apiVersion: string
  response: {
    uid: string
    allowed: boolean
    patchType?: string
    patch?: string
    warnings?: string[]
    status?: { message: string }
  }
}

async function ask(world: World, body: string): Promise<Review['response']> {
  const answer = await post(world, body)
  assert.is(answer.status, 200, answer.body)
  return (JSON.parse(answer.body) as Review).response
}

function applied<T>(object: T, response: Review['response']): T {
  return patched(
    object,
    JSON.parse(Buffer.from(response.patch ?? 'W10=', 'base64').toString()) as PatchOperation[],
  )
}

const test = suite('control/injector/serve')
let world: World

test.before.each(async () => {
  world = await start()
})
test.after.each(async () => {
  await world.close()
})

test('a pod of an enabled namespace is patched, over TLS that the configuration trusts', async () => {
  const response = await ask(world, reviewOf(podOf({})))
  assert.is(response.uid, 'u-1')
  assert.is(response.allowed, true)
  assert.is(response.patchType, 'JSONPatch')
  const pod = applied(podOf({}), response)
  assert.is(pod.spec.initContainers?.[1]?.name, 'linkerd-proxy')
  assert.is(pod.metadata.labels?.['linkerd.io/proxy-deployment'], 'web')
})

test('reviews of v1beta1 are answered in kind', async () => {
  const { body } = await post(world, reviewOf(podOf({}), 'shop', 'Pod', 'admission.k8s.io/v1beta1'))
  assert.is((JSON.parse(body) as Review).apiVersion, 'admission.k8s.io/v1beta1')
})

test('pods that did not opt in, and kinds that are not known, are let through as they are', async () => {
  for (const body of [reviewOf(podOf({}), 'plain'), reviewOf({ spec: {} }, 'shop', 'Node')]) {
    assert.equal(await ask(world, body), { uid: 'u-1', allowed: true })
  }
})

test('a namespace that was created a moment ago is read', async () => {
  world.kube.breakWatches(new Error('slow'))
  world.kube.put<KubeObject>(resources.namespaces, {
    metadata: { name: 'new', annotations: { 'linkerd.io/inject': 'enabled' } },
  })
  assert.ok((await ask(world, reviewOf(podOf({}), 'new'))).patch)
})

test('a changed configuration counts for the next pod', async () => {
  world.kube.put<KubeObject & { data: object }>(resources.configMaps, {
    metadata: { name: 'linkerd-config', namespace: 'linkerd' },
    data: { values: stringify({ proxy: { image: { version: 'v-next' } } }) },
  })
  await until('the new version is used', async () => {
    const pod = applied(podOf({}), await ask(world, reviewOf(podOf({}))))
    return pod.metadata.annotations?.['linkerd.io/proxy-version'] === 'v-next'
  })
})

test('an annotation that cannot be followed refuses the pod, and an Event tells its Deployment', async () => {
  const annotations = { 'config.linkerd.io/proxy-cpu-request': 'lots' }
  const response = await ask(world, reviewOf(podOf({ annotations })))
  assert.is(response.allowed, false)
  assert.match(response.status?.message ?? '', 'proxy-cpu-request: "lots" cannot be used')
  await until('the Event is there', () => world.kube.all(resources.events).length > 0)
  const [event] = world.kube.all<Event>(resources.events)
  assert.equal([event?.type, event?.reason], ['Warning', 'InjectionRefused'])
  assert.equal([event?.involvedObject.name, event?.involvedObject.uid], ['web', 'deployment-1'])
})

test('injections and skips are counted and told, dry runs are not told', async () => {
  const dry = JSON.parse(reviewOf(podOf({}))) as { request: { dryRun?: boolean } }
  dry.request.dryRun = true
  await ask(world, JSON.stringify(dry))
  await ask(world, reviewOf(podOf({ spec: { hostNetwork: true } })))
  await ask(world, reviewOf(podOf({ annotations: { 'config.linkerd.io/proxy-await': 'enabled' } })))
  await until('the Events are there', () => world.kube.all(resources.events).length === 2)
  assert.equal(
    world.kube.all<Event>(resources.events).map(({ reason }) => reason),
    ['InjectionSkipped', 'Injected'],
  )
  const metrics = await world.deps.metrics.metrics()
  assert.match(
    metrics,
    /admission_requests_total\{owner_kind="deployment",namespace="shop",annotation_at="namespace"\} 2/,
  )
  assert.match(metrics, /admission_responses_total\{[^}]*skip="true",skip_reason="host_network_enabled"\} 1/)
  assert.match(metrics, /admission_requests_total\{[^}]*proxy_await="true"[^}]*\} 1/)
})

test('a pod whose owner cannot be read in time is injected all the same', async () => {
  world.kube.onCall = (_verb, { plural }) => {
    if (plural === 'replicasets') throw new Error('gone')
  }
  const pod = applied(podOf({}), await ask(world, reviewOf(podOf({}))))
  assert.is(pod.metadata.labels?.['linkerd.io/proxy-deployment'], 'web')
})

test('bodies that are no reviews are refused', async () => {
  const statusOf = async (body: string) => (await post(world, body)).status
  assert.is(await statusOf('{'), 400)
  assert.is(await statusOf('null'), 400)
  assert.is(await statusOf('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v2","request":{}}'), 400)
  assert.is(await statusOf('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}'), 400)
  for (const object of [null, 7, {}, { metadata: {} }, { metadata: {}, spec: { containers: {} } }]) {
    const response = await ask(world, reviewOf(object))
    assert.is(response.allowed, false)
    assert.match(response.status?.message ?? '', 'MESH_INJECTOR_REQUEST')
  }
})

test('a body over 10 MB is refused', async () => {
  const outcome = await post(world, 'x'.repeat(11 * 1024 * 1024)).then(
    ({ status }) => String(status),
    (error: { code?: string }) => error.code ?? '',
  )
  // The server may be gone before all was sent.
  assert.ok(['413', 'ECONNRESET', 'EPIPE'].includes(outcome), outcome)
})

test('replicas share one certificate', async () => {
  const secret = await world.kube.read<Secret>(resources.secrets, secretName, 'linkerd')
  const second = await start(world.kube)
  try {
    const bundle = await bundleOf(world.kube)
    assert.ok((await post(second, reviewOf(podOf({})), bundle)).status === 200)
    assert.equal(
      (await world.kube.read<Secret>(resources.secrets, secretName, 'linkerd'))?.data,
      secret?.data,
    )
  } finally {
    await second.close()
  }
})

test('a bundle that was overwritten is mended', async () => {
  const before = await bundleOf(world.kube)
  const webhooks = [
    { name: 'linkerd-proxy-injector.linkerd.io', clientConfig: { caBundle: 'eA==', path: '/x' } },
  ]
  await world.kube.mergePatch(resources.mutatingWebhookConfigurations, configName, { webhooks })
  await until('the bundle is right', async () => (await bundleOf(world.kube)) === before)
  const configuration = await world.kube.read<Configuration>(
    resources.mutatingWebhookConfigurations,
    configName,
  )
  assert.is(configuration?.webhooks[0]?.clientConfig.path, '/x')
})

test('an own certificate is renewed in time, the former bundle stays trusted, and every replica serves it', async () => {
  await world.close()
  // What TLS itself compares with is the time of the machine: the renewal is now, the first certificate was made before.
  world = await start(seeded(), Date.now() - 250 * dayMs)
  const before = await bundleOf(world.kube)
  const later = await start(world.kube, Date.now())
  try {
    const after = await bundleOf(world.kube)
    assert.ok(after !== before && after.includes(before.trim()))
    const [newest = ''] = parseCertificates(after).map((certificate) => certificate.toPem())
    for (const replica of [later, world]) {
      await until('the new certificate is served', () =>
        post(replica, reviewOf(podOf({})), newest).then(
          ({ status }) => status === 200,
          () => false,
        ),
      )
    }
  } finally {
    await later.close()
  }
})

test('a certificate that someone else made is served and never written to', async () => {
  const made = await world.kube.read<Secret>(resources.secrets, secretName, 'linkerd')
  await world.close()
  const kube = seeded()
  kube.put<Secret>(resources.secrets, {
    metadata: { name: secretName, namespace: 'linkerd' },
    data: { ...made?.data },
  })
  world = await start(kube, Date.now() + 300 * dayMs)
  await until('the bundle is written', async () => (await bundleOf(kube)) !== '')
  const kept = await kube.read<Secret>(resources.secrets, secretName, 'linkerd')
  assert.equal(kept?.data, made?.data)
})

test('Services get their opaque ports', async () => {
  const service = { metadata: { name: 'db', namespace: 'shop' }, spec: { ports: [{ port: 3306 }] } }
  const result = applied(service, await ask(world, reviewOf(service, 'shop', 'Service'))) as unknown as Pod
  assert.is(result.metadata.annotations?.['config.linkerd.io/opaque-ports'], '3306')
})

test.run()
