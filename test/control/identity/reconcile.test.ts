import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  identityOf,
  isRenewalDue,
  leafValidity,
  type Refusal,
  readIssuer,
  refusalOfRequest,
  subjectOfToken,
} from '../../../src/runtime/control/identity/reconcile.ts'
import { createIssuer, createTrustAnchor } from '../../../src/runtime/pki/authority.ts'
import { createCsr, parseCsr } from '../../../src/runtime/pki/csr.ts'
import { generateKey, privateKeyPem } from '../../../src/runtime/pki/keys.ts'
import { MeshError } from '../../../src/runtime/shared/errors.ts'

const test = suite('control/identity/reconcile')

const now = Date.UTC(2026, 0, 15)
const dayMs = 86_400_000
const validity = { notBeforeMs: now - dayMs, notAfterMs: now + 30 * dayMs }
const anchor = createTrustAnchor('root', { ...validity, notAfterMs: now + 3650 * dayMs })
const issuer = createIssuer(anchor, 'issuer', validity)
const name = 'web.shop.serviceaccount.identity.linkerd.cluster.local'

function pairOf({ certificate, privateKey }: typeof issuer) {
  return { certificatePem: certificate.toPem(), privateKeyPem: privateKeyPem(privateKey) }
}

function reasonOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    assert.is((error as MeshError).code, 'MESH_IDENTITY_ISSUER_INVALID')
    return (error as MeshError).reason ?? ''
  }
  throw new Error('nothing was thrown')
}

test('an issuer is read with the chain that proxies need and the first expiry of its chain', () => {
  const read = readIssuer(pairOf(issuer), anchor.certificate.toPem(), now)
  assert.equal(
    read.intermediates.map(({ commonName }) => commonName),
    ['issuer'],
  )
  assert.is(read.anchor.commonName, 'root')
  assert.is(read.notAfterMs, issuer.certificate.notAfterMs)
})

test('an anchor may issue by itself', () => {
  const read = readIssuer(pairOf(anchor), anchor.certificate.toPem(), now)
  assert.equal(
    read.intermediates.map(({ commonName }) => commonName),
    ['root'],
  )
})

test('what cannot issue is refused with the reason', () => {
  const roots = anchor.certificate.toPem()
  const pair = pairOf(issuer)
  const otherKey = privateKeyPem(generateKey().privateKey)
  assert.match(
    reasonOf(() => readIssuer({ ...pair, privateKeyPem: otherKey }, roots, now)),
    'the key belongs to another certificate',
  )
  const stranger = createTrustAnchor('root', validity).certificate.toPem()
  assert.match(
    reasonOf(() => readIssuer(pair, stranger, now)),
    'another key',
  )
  assert.match(
    reasonOf(() => readIssuer(pair, roots, now + 31 * dayMs)),
    'expired',
  )
  assert.match(
    reasonOf(() => readIssuer({ ...pair, certificatePem: 'x' }, roots, now)),
    'no certificate',
  )
  assert.match(
    reasonOf(() => readIssuer({ ...pair, privateKeyPem: 'x' }, roots, now)),
    'private key',
  )
  assert.match(
    reasonOf(() => readIssuer(pair, '', now)),
    'no certificate',
  )
})

test('reading an issuer from any text gives a MeshError', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (certificatePem, privateKey, roots) => {
      assert.throws(
        () => readIssuer({ certificatePem, privateKeyPem: privateKey }, roots, now),
        (error: unknown) => error instanceof MeshError,
      )
    }),
    { numRuns: 200 },
  )
})

const requests: [string, Parameters<typeof createCsr>[1], string | undefined][] = [
  ['just the identity', { dnsNames: [name] }, undefined],
  ['the identity also as common name', { commonName: name, dnsNames: [name] }, undefined],
  ['no name', {}, '0 DNS names'],
  ['only a common name', { commonName: name }, '0 DNS names'],
  ['two names', { dnsNames: [name, name] }, '2 DNS names'],
  [
    'another name',
    { dnsNames: ['admin.shop.serviceaccount.identity.linkerd.cluster.local'] },
    'is for admin',
  ],
  ['another common name', { commonName: 'admin', dnsNames: [name] }, 'common name of the request is admin'],
  ['an IP address too', { dnsNames: [name], ipAddresses: ['10.0.0.1'] }, 'IP addresses'],
  ['a wildcard', { dnsNames: ['*.shop.serviceaccount.identity.linkerd.cluster.local'] }, 'is for *'],
]

for (const [what, names, reason] of requests) {
  test(`a request for ${what} is ${reason === undefined ? 'taken' : 'refused'}`, () => {
    const refusal = refusalOfRequest(name, parseCsr(createCsr(generateKey(), names)))
    if (reason === undefined) assert.is(refusal, undefined)
    else {
      assert.is(refusal?.kind, 'failed-precondition')
      assert.ok(refusal?.reason.includes(reason), refusal?.reason)
    }
  })
}

const reviewed = (username: string, audiences = ['identity.l5d.io']) =>
  subjectOfToken({ authenticated: true, audiences, user: { username } })

test('the subject of a token is its service account', () => {
  assert.equal(reviewed('system:serviceaccount:shop:web'), { namespace: 'shop', name: 'web' })
  assert.equal(reviewed('system:serviceaccount:shop:web.v1'), { namespace: 'shop', name: 'web.v1' })
})

test('other tokens are refused', () => {
  const kindOf = (subject: object) => (subject as Refusal).kind
  assert.is(kindOf(subjectOfToken({ authenticated: false, error: 'expired' })), 'failed-precondition')
  assert.is(kindOf(subjectOfToken({})), 'failed-precondition')
  assert.is(kindOf(reviewed('system:serviceaccount:shop:web', [])), 'failed-precondition')
  assert.is(kindOf(reviewed('system:serviceaccount:shop:web', ['https://api'])), 'failed-precondition')
  for (const username of [
    'alice',
    'system:serviceaccount:shop',
    'system:serviceaccount:shop:web:x',
    'system:serviceaccount::web',
    'system:serviceaccount:sh.op:web',
    'system:serviceaccount:shop:We b',
    'system:node:shop:web',
  ]) {
    assert.is(kindOf(reviewed(username)), 'invalid-argument', username)
  }
})

test('no user name but that of a service account leads to an identity', () => {
  fc.assert(
    fc.property(fc.string(), (username) => {
      const subject = reviewed(username)
      if ('kind' in subject) return
      assert.is(`system:serviceaccount:${subject.namespace}:${subject.name}`, username)
    }),
  )
})

test('two accounts never have one identity: the namespace has no dots', () => {
  assert.is(identityOf({ name: 'web', namespace: 'shop' }, 'linkerd', 'cluster.local'), name)
})

test('a leaf lasts its lifetime and the skew, in whole seconds, and not longer than the chain', () => {
  const hourMs = 3_600_000
  assert.equal(leafValidity(now + 999, hourMs, 20_000, { notAfterMs: now + dayMs }), {
    notBeforeMs: now - 20_000,
    notAfterMs: now + hourMs + 20_000,
  })
  assert.is(leafValidity(now, hourMs, 20_000, { notAfterMs: now + 5000 }).notAfterMs, now + 5000)
})

test('renewal is due in the last third', () => {
  const { certificate } = issuer
  const thirdMs = (certificate.notAfterMs - certificate.notBeforeMs) / 3
  assert.not(isRenewalDue(certificate, certificate.notAfterMs - thirdMs - 1))
  assert.ok(isRenewalDue(certificate, certificate.notAfterMs - thirdMs + 1))
})

test.run()
