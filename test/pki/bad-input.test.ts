import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createTrustAnchor } from '../../src/runtime/pki/authority.ts'
import { parseCertificate, parseCertificates } from '../../src/runtime/pki/certificate.ts'
import { createCsr, parseCsr } from '../../src/runtime/pki/csr.ts'
import { generateKey, parsePrivateKey } from '../../src/runtime/pki/keys.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { openssl, opensslFile } from './openssl.ts'

const test = suite('pki/bad-input')

const csr = createCsr(generateKey(), { commonName: 'a', dnsNames: ['a.example'], ipAddresses: ['10.0.0.1'] })
const certificate = createTrustAnchor('a', { notBeforeMs: 0, notAfterMs: 1e12 }).certificate.der

/** Nothing but a MeshError may come out, whatever goes in. @returns whether it was taken */
function isTaken(action: () => unknown): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (error instanceof MeshError) return false
    throw error
  }
}

/** Some bytes of a good input replaced, cut off or put in. */
function mutationsOf(original: Buffer): fc.Arbitrary<Buffer> {
  const edit = fc.record({
    at: fc.nat(original.length - 1),
    remove: fc.nat(4),
    insert: fc.uint8Array({ maxLength: 4 }),
  })
  return fc
    .array(edit, { minLength: 1, maxLength: 4 })
    .map((edits) =>
      edits.reduce(
        (bytes: Buffer, { at, remove, insert }) =>
          Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]),
        original,
      ),
    )
}

test('any bytes: only MeshError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      isTaken(() => parseCsr(bytes))
      isTaken(() => parseCertificate(bytes))
    }),
    { numRuns: 2000 },
  )
})

test('a changed request is refused, with a MeshError: its signature covers every byte', () => {
  fc.assert(
    fc.property(mutationsOf(csr), (bytes) => {
      if (!bytes.equals(csr)) {
        const taken = isTaken(() => parseCsr(bytes))
        // What is signed must be as it was; the wrapping has no meaning.
        if (taken) assert.ok(bytes.includes(csr.subarray(4, 60)))
      }
    }),
    { numRuns: 3000 },
  )
})

test('a changed certificate gives a MeshError or a certificate', () => {
  fc.assert(
    fc.property(mutationsOf(certificate), (bytes) => {
      isTaken(() => parseCertificate(bytes))
    }),
    { numRuns: 3000 },
  )
})

test('any text: only MeshError', () => {
  const text = fc.oneof(
    fc.string(),
    fc.base64String().map((body) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`),
    fc.base64String().map((body) => `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`),
  )
  fc.assert(
    fc.property(text, (value) => {
      isTaken(() => parseCertificates(value))
      isTaken(() => parsePrivateKey(value))
    }),
    { numRuns: 1000 },
  )
})

test('20,000 nested sequences end in an error, not in a full stack', () => {
  let nested = Buffer.alloc(0)
  for (let depth = 0; depth < 20_000; depth++) {
    const header = Buffer.from([0x30, 0x83, 0, 0, 0])
    header.writeUIntBE(nested.length, 2, 3)
    nested = Buffer.concat([header, nested])
  }
  assert.not(isTaken(() => parseCsr(nested)))
  assert.not(isTaken(() => parseCertificate(nested)))
})

test('requests are refused for RSA, for Ed25519, for other curves, and for bytes after their end', () => {
  const reasonOf = (der: Buffer) => {
    try {
      parseCsr(der)
    } catch (error) {
      return (error as MeshError).reason ?? ''
    }
    return 'taken'
  }
  const requested = (...args: string[]) => {
    const key = openssl(['genpkey', ...args])
    return opensslFile(['req', '-new', '-key', 'k', '-subj', '/CN=a', '-outform', 'DER', '-out', 'o'], 'o', {
      k: key,
    })
  }
  assert.match(reasonOf(requested('-algorithm', 'RSA')), 'not ECDSA')
  assert.match(reasonOf(requested('-algorithm', 'ED25519')), 'not ECDSA')
  const curve = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1']
  assert.match(reasonOf(requested(...curve)), 'curve secp256k1')
  assert.match(reasonOf(Buffer.concat([csr, Buffer.of(0)])), 'bytes after the end')
  const broken = Buffer.from(csr)
  broken.writeUInt8((broken.at(-1) ?? 0) ^ 1, broken.length - 1)
  assert.match(reasonOf(broken), 'signature is wrong')
  assert.is(reasonOf(csr), 'taken')
})

test('keys of a kind that is not used, and encrypted keys, are refused', () => {
  const ed25519 = openssl(['genpkey', '-algorithm', 'ED25519'])
  assert.throws(() => parsePrivateKey(ed25519), /type that mesh does not use/)
  const encrypted = openssl(['genpkey', '-algorithm', 'RSA', '-aes128', '-pass', 'pass:x'])
  assert.throws(() => parsePrivateKey(encrypted), /cannot be read/)
})

test.run()
