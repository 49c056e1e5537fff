import { X509Certificate } from 'node:crypto'
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { bootstrapIdentity } from '../../../src/runtime/control/identity/bootstrap.ts'
import { flags, startIdentity } from '../../../src/runtime/control/identity/main.ts'
import type { ConfigMap, Secret } from '../../../src/runtime/control/identity/objects.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { KubeObject, Resource } from '../../../src/runtime/kube/types.ts'
import { createCsr } from '../../../src/runtime/pki/csr.ts'
import { generateKey } from '../../../src/runtime/pki/keys.ts'
import { toPem } from '../../../src/runtime/pki/pem.ts'
import { Identity } from '../../../src/runtime/proto/gen/io/linkerd/proxy/identity_pb.js'
import { MeshError } from '../../../src/runtime/shared/errors.ts'
import { createLogger } from '../../../src/runtime/shared/logger.ts'
import { openssl } from '../../pki/openssl.ts'
import { controllerDeps, type TestDeps } from '../../support/controller-deps.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { until } from '../../support/until.ts'

const name = 'web.shop.serviceaccount.identity.linkerd.cluster.local'

/** Reviews tokens that are written as `NAMESPACE:ACCOUNT:AUDIENCE`. */
class ReviewingKube extends FakeKube {
  isUnreachable = false

  override async create<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    if (this.isUnreachable) {
      throw new MeshError({ code: 'MESH_KUBE_UNREACHABLE', kind: 'environment', message: 'gone' })
    }
    if (resource.kind === 'SelfSubjectAccessReview') return { ...object, status: { allowed: true } }
    if (resource.kind !== 'TokenReview') return super.create(resource, object)
    const { spec } = object as unknown as { spec: { token: string; audiences: string[] } }
    const [namespace, account, audience] = spec.token.split(':')
    const isGood = audience !== undefined && spec.audiences.includes(audience)
    const status = isGood
      ? {
          authenticated: true,
          audiences: [audience],
          user: { username: `system:serviceaccount:${namespace}:${account}` },
        }
      : { authenticated: false, error: 'invalid bearer token' }
    return { ...object, status }
  }
}

interface World extends TestDeps {
  kube: ReviewingKube
  client: Client<typeof Identity>
  close: () => Promise<void>
}

async function start(isBootstrapped = true): Promise<World> {
  const kube = new ReviewingKube()
  const made = controllerDeps(kube, flags, ['--listen-addr=127.0.0.1:0'])
  if (isBootstrapped) await bootstrap(made, kube)
  const identity = await startIdentity(made.deps)
  const baseUrl = `http://127.0.0.1:${identity.address.port}`
  const sessionManager = new Http2SessionManager(baseUrl)
  const client = createClient(Identity, createGrpcTransport({ baseUrl, sessionManager }))
  if (isBootstrapped) await until('identity is ready', () => made.readiness.missing().length === 0)
  const close = async () => {
    made.stop()
    sessionManager.abort()
    await identity.stopped
  }
  return { ...made, kube, client, close }
}

async function bootstrap({ deps }: TestDeps, kube: FakeKube): Promise<void> {
  await bootstrapIdentity({
    kube,
    clock: deps.clock,
    logger: createLogger('test', 'silent'),
    namespace: 'linkerd',
    trustDomain: 'cluster.local',
  })
}

const token = (text: string) => new TextEncoder().encode(text)
const goodToken = token('shop:web:identity.l5d.io')
const csr = createCsr(generateKey(), { dnsNames: [name] })
const good = { identity: name, token: goodToken, certificateSigningRequest: csr }

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'issued'
  } catch (error) {
    return Code[ConnectError.from(error).code]
  }
}

const test = suite('control/identity/serve')
let world: World

test.before.each(async () => {
  world = await start()
})
test.after.each(async () => {
  await world.close()
})

test('a workload gets a certificate that openssl verifies up to the anchor', async () => {
  const answer = await world.client.certify(good)
  const leaf = new X509Certificate(answer.leafCertificate)
  assert.is(leaf.subjectAltName, `DNS:${name}`)
  const hoursLeft = (Date.parse(leaf.validTo) - Date.now()) / 3_600_000
  assert.ok(hoursLeft > 23.9 && hoursLeft < 24.1, `${hoursLeft} h`)
  assert.is(Number(answer.validUntil?.seconds) * 1000, Date.parse(leaf.validTo))
  const roots = await world.kube.read<ConfigMap>(
    resources.configMaps,
    'linkerd-identity-trust-roots',
    'linkerd',
  )
  const said = openssl(
    ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'roots', '-untrusted', 'chain', 'leaf'],
    {
      roots: roots?.data?.['ca-bundle.crt'] ?? '',
      chain: answer.intermediateCertificates.map((der) => toPem('CERTIFICATE', der)).join(''),
      leaf: toPem('CERTIFICATE', answer.leafCertificate),
    },
  )
  assert.match(said, 'OK')
})

test('each refusal has its code', async () => {
  const { client } = world
  const other = 'admin.shop.serviceaccount.identity.linkerd.cluster.local'
  const expected: [string, Parameters<typeof client.certify>[0]][] = [
    ['InvalidArgument', { ...good, identity: '' }],
    ['InvalidArgument', { ...good, token: new Uint8Array() }],
    ['InvalidArgument', { ...good, certificateSigningRequest: new Uint8Array() }],
    ['InvalidArgument', { ...good, certificateSigningRequest: csr.subarray(1) }],
    ['InvalidArgument', { ...good, token: new Uint8Array(70_000) }],
    ['FailedPrecondition', { ...good, identity: other }],
    ['FailedPrecondition', { ...good, token: token('nonsense') }],
    ['FailedPrecondition', { ...good, token: token('shop:web:https://kubernetes.default.svc') }],
    ['FailedPrecondition', { ...good, token: token('shop:admin:identity.l5d.io') }],
    ['FailedPrecondition', { ...good, token: token('other:web:identity.l5d.io') }],
    ['InvalidArgument', { ...good, token: token('Sh op:web:identity.l5d.io') }],
    ['issued', good],
  ]
  for (const [code, request] of expected) assert.is(await codeOf(client.certify(request)), code)
  const metrics = await world.deps.metrics.metrics()
  assert.match(metrics, 'mesh_identity_certificates_total{outcome="FailedPrecondition"} 5')
  assert.match(metrics, /grpc_server_handled_total\{[^}]*grpc_method="Certify"[^}]*grpc_code="OK"\} 1/)
})

test('while the API is out of reach callers are told to come again, and afterwards served', async () => {
  world.kube.isUnreachable = true
  assert.is(await codeOf(world.client.certify(good)), 'Unavailable')
  world.kube.isUnreachable = false
  assert.is(await codeOf(world.client.certify(good)), 'issued')
})

test('a replaced issuer is taken at once; a broken one is not, and the last stays in use', async () => {
  const { client, kube } = world
  const issuerOf = async () => {
    const { leafCertificate, intermediateCertificates } = await client.certify(good)
    const [issuer] = intermediateCertificates.map((der) => new X509Certificate(der))
    assert.ok(issuer && new X509Certificate(leafCertificate).verify(issuer.publicKey))
    return issuer?.serialNumber
  }
  const first = await issuerOf()
  const stored = await kube.read<Secret>(resources.secrets, 'linkerd-identity-issuer', 'linkerd')
  await kube.remove(resources.secrets, 'linkerd-identity-issuer', 'linkerd')
  await bootstrap(world, kube)
  await until('the new issuer is in use', async () => (await issuerOf()) !== first)
  const second = await issuerOf()
  const broken = { ...stored, data: { ...stored?.data, 'tls.key': 'eA==' } } as Secret
  delete broken.metadata.resourceVersion
  await kube.replace(resources.secrets, broken)
  await until('an Event tells', () =>
    kube
      .all<KubeObject & { reason: string }>(resources.events)
      .some(({ reason }) => reason === 'IssuerValidationFailed'),
  )
  assert.is(await issuerOf(), second)
})

test('each certificate leaves an Event with its account', async () => {
  await world.client.certify(good)
  type Event = KubeObject & {
    reason: string
    message: string
    involvedObject: { kind: string; name: string }
  }
  await until('the Event is there', () => world.kube.all(resources.events).length > 0)
  const event = world.kube
    .all<Event>(resources.events)
    .find(({ reason }) => reason === 'IssuedLeafCertificate')
  assert.is(event?.involvedObject.kind, 'ServiceAccount')
  assert.is(event?.involvedObject.name, 'web')
  assert.is(event?.metadata.namespace, 'shop')
  assert.ok(event?.message.includes(name))
})

test('tells how long the issuer lasts', async () => {
  const metrics = await world.deps.metrics.metrics()
  const ttlS = Number(/^issuer_cert_ttl_seconds (\S+)$/m.exec(metrics)?.[1])
  assert.ok(ttlS > 364 * 86_400 && ttlS <= 365 * 86_400, String(ttlS))
})

test('without an issuer it is not ready and says Unavailable, until one is there', async () => {
  const empty = await start(false)
  try {
    assert.is(await codeOf(empty.client.certify(good)), 'Unavailable')
    await until('it says why', () => empty.readiness.missing().includes('issuer: the issuer is missing'))
    await bootstrap(empty, empty.kube)
    await until('it is ready', () => empty.readiness.missing().length === 0)
    assert.is(await codeOf(empty.client.certify(good)), 'issued')
  } finally {
    await empty.close()
  }
})

test.run()
