import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createIssuer, createTrustAnchor, issueLeaf, subjectOf } from '../../src/runtime/pki/authority.ts'
import { type Certificate, parseCertificate, parseCertificates } from '../../src/runtime/pki/certificate.ts'
import { createCsr, parseCsr } from '../../src/runtime/pki/csr.ts'
import { generateKey, parsePrivateKey, privateKeyPem } from '../../src/runtime/pki/keys.ts'
import { toPem } from '../../src/runtime/pki/pem.ts'
import { createServingCertificate } from '../../src/runtime/pki/serving-certificate.ts'
import { openssl, opensslFile } from './openssl.ts'

const test = suite('pki/authority')

const hourMs = 3_600_000
const now = Math.floor(Date.now() / 1000) * 1000
const validity = { notBeforeMs: now - hourMs, notAfterMs: now + 24 * hourMs }
const identity = 'web.shop.serviceaccount.identity.linkerd.cluster.local'
const anchor = createTrustAnchor('root.linkerd.cluster.local', { ...validity, notAfterMs: now + 1e12 })
const issuer = createIssuer(anchor, 'identity.linkerd.cluster.local', validity)

function leafFor(name: string): Buffer {
  const csr = parseCsr(createCsr(generateKey(), { dnsNames: [name] }))
  return issueLeaf(issuer, {
    ...validity,
    publicKey: csr.publicKey,
    subject: subjectOf(name),
    dnsNames: [name],
  })
}

function strictly(leaf: Buffer, purpose: string, host: string): string {
  return openssl(
    [
      ...['verify', '-x509_strict', '-purpose', purpose, '-verify_hostname', host],
      ...['-CAfile', 'anchors.pem', '-untrusted', 'issuer.pem', 'leaf.pem'],
    ],
    {
      'anchors.pem': anchor.certificate.toPem(),
      'issuer.pem': issuer.certificate.toPem(),
      'leaf.pem': toPem('CERTIFICATE', leaf),
    },
  )
}

test('openssl accepts anchor, issuer and leaf under its strictest rules, as server and as client', () => {
  assert.match(strictly(leafFor(identity), 'sslserver', identity), 'OK')
  assert.match(strictly(leafFor(identity), 'sslclient', identity), 'OK')
})

test('a name longer than a common name may be stands in the alternative names alone', () => {
  const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.serviceaccount.identity.linkerd.cluster.local`
  const leaf = leafFor(long)
  assert.is(parseCertificate(leaf).commonName, undefined)
  assert.match(strictly(leaf, 'sslserver', long), 'OK')
})

test('openssl refuses the leaf for another name', () => {
  assert.throws(() => strictly(leafFor(identity), 'sslserver', 'other.example'), /hostname mismatch/i)
})

test('a leaf for a request that openssl made verifies', () => {
  const key = openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'])
  const der = opensslFile(
    [
      'req',
      '-new',
      '-key',
      'key.pem',
      '-subj',
      '/',
      '-addext',
      `subjectAltName=DNS:${identity}`,
      '-outform',
      'DER',
      '-out',
      'csr',
    ],
    'csr',
    { 'key.pem': key },
  )
  const csr = parseCsr(der)
  assert.equal(csr.names.dnsNames, [identity])
  const leaf = issueLeaf(issuer, { ...validity, publicKey: csr.publicKey, dnsNames: csr.names.dnsNames })
  assert.match(strictly(leaf, 'sslserver', identity), 'OK')
})

test('openssl accepts the requests that are made here', () => {
  const der = createCsr(generateKey(), {
    commonName: 'x',
    dnsNames: [identity],
    ipAddresses: ['10.0.0.1', 'fd00::1'],
  })
  const text = openssl(['req', '-verify', '-noout', '-text', '-inform', 'DER', '-in', 'csr'], { csr: der })
  assert.match(text, `DNS:${identity}, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1`)
  assert.equal(parseCsr(der).names.ipAddresses, ['10.0.0.1', 'fd00::1'])
})

test('a leaf never outlives its issuer, and none is issued by one that has expired', () => {
  const key = generateKey().publicKey
  const leaf = parseCertificate(
    issueLeaf(issuer, { notBeforeMs: 0, notAfterMs: now + 1e13, publicKey: key, dnsNames: ['a'] }),
  )
  assert.is(leaf.notAfterMs, issuer.certificate.notAfterMs)
  assert.is(leaf.notBeforeMs, issuer.certificate.notBeforeMs)
  const late = { notBeforeMs: validity.notAfterMs + 1000, notAfterMs: validity.notAfterMs + 2000 }
  assert.throws(() => issueLeaf(issuer, { ...late, publicKey: key }), /not valid in the time/)
})

test('serial numbers are positive and never the same', () => {
  const serials = Array.from({ length: 50 }, () => parseCertificate(leafFor(identity)).serial)
  assert.is(new Set(serials).size, 50)
  assert.ok(serials.every((serial) => /^[4-7][0-9a-f]{31}$/.test(serial)))
})

test('an authority with an RSA key, made elsewhere, can issue', () => {
  const key = openssl(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'])
  const usage = ['-addext', 'keyUsage=critical,keyCertSign']
  const ca = openssl(['req', '-x509', '-key', 'key', '-subj', '/O=corp/CN=old', '-days', '2', ...usage], {
    key,
  })
  const [certificate] = parseCertificates(ca)
  assert.is(certificate?.commonName, 'old')
  const old = { certificate: certificate as Certificate, privateKey: parsePrivateKey(key) }
  const leaf = issueLeaf(old, { ...validity, publicKey: generateKey().publicKey, dnsNames: ['a.example'] })
  const files = { ca, leaf: toPem('CERTIFICATE', leaf) }
  assert.match(openssl(['verify', '-x509_strict', '-CAfile', 'ca', 'leaf'], files), 'OK')
})

test('private keys are written in a form that every tool reads', () => {
  const key = generateKey()
  const pem = privateKeyPem(key.privateKey)
  assert.match(pem, 'BEGIN EC PRIVATE KEY')
  assert.ok(parsePrivateKey(pem).equals(key.privateKey))
  assert.match(openssl(['ec', '-noout', '-text', '-in', 'key'], { key: pem }), 'prime256v1')
})

test('a serving certificate verifies for the name of its service', () => {
  const made = createServingCertificate('linkerd-proxy-injector', 'linkerd', validity)
  const said = openssl(
    [
      ...['verify', '-x509_strict', '-purpose', 'sslserver'],
      ...['-verify_hostname', 'linkerd-proxy-injector.linkerd.svc', '-CAfile', 'ca.pem', 'cert.pem'],
    ],
    { 'ca.pem': made.authorityPem, 'cert.pem': made.certificatePem },
  )
  assert.match(said, 'OK')
})

test('times from 2050 on are written as RFC 5280 asks', () => {
  const far = createTrustAnchor('far', { notBeforeMs: now, notAfterMs: Date.UTC(2061, 0, 1) })
  assert.is(far.certificate.notAfterMs, Date.UTC(2061, 0, 1))
  assert.match(
    openssl(['x509', '-noout', '-enddate', '-in', 'c'], { c: far.certificate.toPem() }),
    'Jan  1 00:00:00 2061 GMT',
  )
})

test.run()
