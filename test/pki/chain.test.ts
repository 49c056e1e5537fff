import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Authority,
  createIssuer,
  createTrustAnchor,
  issueLeaf,
} from '../../src/runtime/pki/authority.ts'
import { parseCertificate } from '../../src/runtime/pki/certificate.ts'
import { verifyChain } from '../../src/runtime/pki/chain.ts'
import { generateKey } from '../../src/runtime/pki/keys.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'

const test = suite('pki/chain')

const now = Date.UTC(2026, 0, 15)
const dayMs = 86_400_000
const validity = { notBeforeMs: now - dayMs, notAfterMs: now + dayMs }
const anchor = createTrustAnchor('root', validity)
const issuer = createIssuer(anchor, 'issuer', validity)
const leaf = leafOf(issuer)

function leafOf(authority: Authority, times = validity) {
  const publicKey = generateKey().publicKey
  return parseCertificate(issueLeaf(authority, { ...times, publicKey, subject: { commonName: 'leaf' } }))
}

function reasonOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    assert.instance(error, MeshError)
    assert.is((error as MeshError).code, 'MESH_CHAIN_INVALID')
    return (error as MeshError).reason ?? ''
  }
  throw new Error('nothing was thrown')
}

test('finds the path through the intermediates, in whatever order they come', () => {
  const other = createIssuer(anchor, 'other', validity).certificate
  const path = verifyChain([leaf, other, issuer.certificate], [anchor.certificate], now)
  assert.equal(
    path.map((certificate) => certificate.commonName),
    ['leaf', 'issuer', 'root'],
  )
})

test('an anchor vouches for itself, and an issuer can be an anchor', () => {
  assert.is(verifyChain([anchor.certificate], [anchor.certificate], now).length, 1)
  assert.is(verifyChain([leaf], [issuer.certificate], now).length, 2)
})

test('refuses an anchor with the right name and another key', () => {
  const forged = createTrustAnchor('root', validity)
  assert.match(
    reasonOf(() => verifyChain([leaf, issuer.certificate], [forged.certificate], now)),
    '"root" cannot vouch for "issuer": the signature was made by another key',
  )
})

test('refuses a leaf that acts as an authority', () => {
  const impostor: Authority = { certificate: leaf, privateKey: generateKey().privateKey }
  const below = leafOf(impostor)
  const chain = [below, leaf, issuer.certificate]
  assert.match(
    reasonOf(() => verifyChain(chain, [anchor.certificate], now)),
    /cannot vouch for "leaf": (the signature|it is no certificate authority)/,
  )
})

test('refuses a real signature by a leaf', () => {
  const key = generateKey()
  const der = issueLeaf(issuer, { ...validity, publicKey: key.publicKey, subject: { commonName: 'middle' } })
  const middle: Authority = { certificate: parseCertificate(der), privateKey: key.privateKey }
  const chain = [leafOf(middle), middle.certificate, issuer.certificate]
  assert.match(
    reasonOf(() => verifyChain(chain, [anchor.certificate], now)),
    '"middle" cannot vouch for "leaf": it is no certificate authority',
  )
})

test('holds to the path length', () => {
  const second = createIssuer(issuer, 'second', validity)
  const chain = [leafOf(second), second.certificate, issuer.certificate]
  assert.match(
    reasonOf(() => verifyChain(chain, [anchor.certificate], now)),
    'it allows 0 authorities below it',
  )
})

test('refuses what is not valid yet, or no longer, at each place of the chain', () => {
  const chain = [leaf, issuer.certificate]
  const anchors = [anchor.certificate]
  assert.match(
    reasonOf(() => verifyChain(chain, anchors, now + 2 * dayMs)),
    '"leaf" expired at 2026-01-16',
  )
  assert.match(
    reasonOf(() => verifyChain(chain, anchors, now - 2 * dayMs)),
    '"leaf" is valid only from',
  )
  const short = createIssuer(anchor, 'short', { ...validity, notAfterMs: now + 1000 })
  const long = { ...leafOf(short), notAfterMs: now + dayMs }
  assert.match(
    reasonOf(() => verifyChain([long, short.certificate], anchors, now + 5000)),
    '"short" cannot vouch for "leaf": "short" expired',
  )
})

test('refuses no certificate and no anchors', () => {
  assert.match(
    reasonOf(() => verifyChain([], [anchor.certificate], now)),
    'no certificate',
  )
  assert.match(
    reasonOf(() => verifyChain([leaf], [], now)),
    'No anchor has issued "leaf"',
  )
})

test.run()
