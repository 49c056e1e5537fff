import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { bootstrapIdentity } from '../../../src/runtime/control/identity/bootstrap.ts'
import {
  type ConfigMap,
  type Secret,
  tlsPairOf,
  tlsSecret,
} from '../../../src/runtime/control/identity/objects.ts'
import { readIssuer } from '../../../src/runtime/control/identity/reconcile.ts'
import { renewIssuer } from '../../../src/runtime/control/identity/renewal.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { createIssuer, createTrustAnchor } from '../../../src/runtime/pki/authority.ts'
import { parseCertificates } from '../../../src/runtime/pki/certificate.ts'
import { privateKeyPem } from '../../../src/runtime/pki/keys.ts'
import type { MeshError } from '../../../src/runtime/shared/errors.ts'
import { createLogger } from '../../../src/runtime/shared/logger.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeKube } from '../../support/fake-kube.ts'

const test = suite('control/identity/bootstrap')

const dayMs = 86_400_000

function world() {
  const kube = new FakeKube()
  const clock = new FakeClock()
  const options = {
    kube,
    clock,
    logger: createLogger('test', 'silent'),
    namespace: 'linkerd',
    trustDomain: 'cluster.local',
  }
  const secret = (name: string) => kube.read<Secret>(resources.secrets, name, 'linkerd')
  const roots = async () =>
    (await kube.read<ConfigMap>(resources.configMaps, 'linkerd-identity-trust-roots', 'linkerd'))?.data?.[
      'ca-bundle.crt'
    ] ?? ''
  const issuer = async () => {
    const pair = tlsPairOf(await secret('linkerd-identity-issuer'))
    if (pair === undefined) throw new Error('no issuer')
    return readIssuer(pair, await roots(), clock.nowMs())
  }
  return { kube, clock, options, secret, roots, issuer }
}

/** An anchor and an issuer that someone brought along. */
function brought(nowMs: number, issuerLifetimeMs = 90 * dayMs) {
  const anchor = createTrustAnchor('their root', { notBeforeMs: nowMs - 1000, notAfterMs: nowMs + 1e11 })
  const issuer = createIssuer(anchor, 'their issuer', {
    notBeforeMs: nowMs - 1000,
    notAfterMs: nowMs + issuerLifetimeMs,
  })
  const pair = { certificatePem: issuer.certificate.toPem(), privateKeyPem: privateKeyPem(issuer.privateKey) }
  return { anchorPem: anchor.certificate.toPem(), pair }
}

test('makes anchor, bundle and issuer where there is nothing', async () => {
  const { options, secret, roots, issuer } = world()
  await bootstrapIdentity(options)
  const made = await issuer()
  assert.is(made.certificate.commonName, 'identity.linkerd.cluster.local')
  assert.is(made.anchor.commonName, 'root.linkerd.cluster.local')
  const stored = await secret('linkerd-identity-issuer')
  assert.is(stored?.type, 'kubernetes.io/tls')
  assert.equal(Object.keys(stored?.data ?? {}), ['tls.crt', 'tls.key', 'ca.crt'])
  assert.is(Buffer.from(stored?.data?.['ca.crt'] ?? '', 'base64').toString(), await roots())
  assert.is(stored?.metadata.labels?.['linkerd.io/control-plane-ns'], 'linkerd')
  assert.not((await roots()).includes('PRIVATE'))
})

test('a second run changes nothing', async () => {
  const { kube, options } = world()
  await bootstrapIdentity(options)
  const before = JSON.stringify([kube.all(resources.secrets), kube.all(resources.configMaps)])
  await bootstrapIdentity(options)
  assert.is(JSON.stringify([kube.all(resources.secrets), kube.all(resources.configMaps)]), before)
})

test('ten at a time agree on one anchor and one issuer', async () => {
  const { kube, options, issuer, roots } = world()
  await Promise.all(Array.from({ length: 10 }, () => bootstrapIdentity(options)))
  assert.is(kube.all(resources.secrets).length, 2)
  assert.is(parseCertificates(await roots()).length, 1)
  assert.is((await issuer()).certificate.commonName, 'identity.linkerd.cluster.local')
})

test('one that was stopped at any point is finished by the next', async () => {
  for (let stopAfter = 1; stopAfter < 12; stopAfter++) {
    const { kube, options, issuer } = world()
    let calls = 0
    kube.onCall = () => {
      calls += 1
      if (calls > stopAfter) throw new Error('stopped')
    }
    await bootstrapIdentity(options).catch(() => {})
    kube.onCall = () => {}
    await bootstrapIdentity(options)
    assert.is((await issuer()).anchor.commonName, 'root.linkerd.cluster.local')
  }
})

test('an issuer that was brought along is kept, and its bundle made from the ca.crt beside it', async () => {
  const { kube, clock, options, issuer, secret } = world()
  const { anchorPem, pair } = brought(clock.nowMs())
  kube.put(resources.secrets, tlsSecret('linkerd-identity-issuer', 'linkerd', pair, anchorPem))
  await bootstrapIdentity(options)
  assert.is((await issuer()).certificate.commonName, 'their issuer')
  assert.is(await secret('linkerd-identity-trust-anchor'), undefined)
})

test('an issuer under other anchors than the bundle is refused', async () => {
  const { kube, clock, options } = world()
  kube.put(resources.secrets, tlsSecret('linkerd-identity-issuer', 'linkerd', brought(clock.nowMs()).pair))
  kube.put<ConfigMap>(resources.configMaps, {
    metadata: { name: 'linkerd-identity-trust-roots', namespace: 'linkerd' },
    data: { 'ca-bundle.crt': brought(clock.nowMs()).anchorPem },
  })
  const error = await bootstrapIdentity(options).catch((thrown: MeshError) => thrown)
  assert.is(error?.code, 'MESH_IDENTITY_ISSUER_INVALID')
})

test('a bundle without an issuer is never answered with another anchor', async () => {
  const { kube, clock, options } = world()
  kube.put<ConfigMap>(resources.configMaps, {
    metadata: { name: 'linkerd-identity-trust-roots', namespace: 'linkerd' },
    data: { 'ca-bundle.crt': brought(clock.nowMs()).anchorPem },
  })
  const error = await bootstrapIdentity(options).catch((thrown: MeshError) => thrown)
  assert.is(error?.code, 'MESH_IDENTITY_ISSUER_MISSING')
  assert.is(kube.all(resources.secrets).length, 0)
})

test('an own issuer that has expired while nobody looked is made anew', async () => {
  const { clock, options, issuer } = world()
  await bootstrapIdentity(options)
  const first = await issuer()
  await clock.advance(400 * dayMs)
  await bootstrapIdentity(options)
  const second = await issuer()
  assert.ok(second.notAfterMs > clock.nowMs())
  assert.ok(second.anchor.der.equals(first.anchor.der))
})

test('renewal: not before its time, then a new issuer under the same anchor, once', async () => {
  const { clock, options, issuer, roots } = world()
  await bootstrapIdentity(options)
  const first = await issuer()
  assert.is(await renewIssuer(options, first, await roots()), 'not-due')
  await clock.advance(250 * dayMs)
  const outcomes = await Promise.all([1, 2, 3].map(async () => renewIssuer(options, first, await roots())))
  assert.equal(outcomes.toSorted(), ['renewed', 'renewed-by-another', 'renewed-by-another'])
  const second = await issuer()
  assert.ok(second.anchor.der.equals(first.anchor.der))
  assert.ok(second.notAfterMs > first.notAfterMs)
  assert.not(second.certificate.serial === first.certificate.serial)
})

test('renewal: an issuer whose anchor is kept elsewhere is left alone', async () => {
  const { kube, clock, options, issuer, roots } = world()
  const { anchorPem, pair } = brought(clock.nowMs(), 3 * dayMs)
  kube.put(resources.secrets, tlsSecret('linkerd-identity-issuer', 'linkerd', pair, anchorPem))
  await bootstrapIdentity(options)
  await clock.advance(2.5 * dayMs)
  assert.is(await renewIssuer(options, await issuer(), await roots()), 'anchor-key-not-here')
})

test.run()
