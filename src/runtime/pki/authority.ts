import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { MeshError } from '../shared/errors.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import {
  bitString,
  bytesOf,
  children,
  decode,
  encode,
  encoded,
  integer,
  type Node,
  nullValue,
  oid,
  sequence,
  tagged,
  time,
} from './der.ts'
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectKeyId,
} from './extensions.ts'
import { generateKey, oids } from './keys.ts'
import { maxCommonNameLength, type SubjectName, writeName } from './names.ts'

/** Something that signs: a certificate and its private key. */
export interface Authority {
  certificate: Certificate
  privateKey: KeyObject
}

/** From when to when, in ms since the epoch. Certificates count in whole seconds. */
export interface Validity {
  notBeforeMs: number
  notAfterMs: number
}

/** What a certificate for a workload or a server says. */
export interface LeafRequest extends Validity {
  publicKey: KeyObject
  subject?: SubjectName
  dnsNames?: readonly string[]
  ipAddresses?: readonly string[]
  /** Both when absent. */
  purposes?: readonly ('server' | 'client')[]
}

/**
 * Makes a trust anchor: a certificate that is signed by its own key (ECDSA P-256), under which one level of issuers
 * may stand.
 */
export function createTrustAnchor(commonName: string, validity: Validity): Authority {
  const key = generateKey()
  const publicKeyDer = key.publicKey.export({ type: 'spki', format: 'der' })
  const id = keyIdOf(publicKeyDer)
  const name = writeName({ commonName })
  const extensions = [
    basicConstraints(true, 1),
    keyUsage('keyCertSign', 'cRLSign'),
    subjectKeyId(id),
    authorityKeyId(id),
  ]
  const der = signCertificate(key.privateKey, {
    issuer: name,
    subject: name,
    publicKeyDer,
    validity,
    extensions,
  })
  return { certificate: parseCertificate(der), privateKey: key.privateKey }
}

/** Makes an issuer under an anchor, for leaves only. It never outlives the anchor. */
export function createIssuer(anchor: Authority, commonName: string, validity: Validity): Authority {
  const key = generateKey()
  const publicKeyDer = key.publicKey.export({ type: 'spki', format: 'der' })
  const der = signCertificate(anchor.privateKey, {
    issuer: encoded(anchor.certificate.subjectDer),
    subject: writeName({ commonName }),
    publicKeyDer,
    validity: within(validity, anchor.certificate),
    extensions: [
      basicConstraints(true, 0),
      keyUsage('keyCertSign', 'cRLSign'),
      subjectKeyId(keyIdOf(publicKeyDer)),
      authorityKeyId(authorityIdOf(anchor)),
    ],
  })
  return { certificate: parseCertificate(der), privateKey: key.privateKey }
}

/**
 * Issues a certificate that is no authority. It never outlives its issuer.
 * @returns DER
 */
export function issueLeaf(issuer: Authority, request: LeafRequest): Buffer {
  const publicKeyDer = request.publicKey.export({ type: 'spki', format: 'der' })
  const subject = request.subject ?? {}
  const isAnonymous = subject.commonName === undefined && (subject.organizations ?? []).length === 0
  const hasNames = (request.dnsNames ?? []).length + (request.ipAddresses ?? []).length > 0
  const purposes = (request.purposes ?? ['server', 'client']).map((purpose) =>
    purpose === 'server' ? oids.serverAuth : oids.clientAuth,
  )
  return signCertificate(issuer.privateKey, {
    issuer: encoded(issuer.certificate.subjectDer),
    subject: writeName(subject),
    publicKeyDer,
    validity: within(request, issuer.certificate),
    extensions: [
      basicConstraints(false),
      keyUsage('digitalSignature', 'keyEncipherment'),
      extendedKeyUsage(...purposes),
      subjectKeyId(keyIdOf(publicKeyDer)),
      authorityKeyId(authorityIdOf(issuer)),
      ...(hasNames ? [alternativeNames(request, isAnonymous)] : []),
    ],
  })
}

/** The subject for a DNS name: its common name, unless it is longer than one may be. */
export function subjectOf(dnsName: string): SubjectName {
  return dnsName.length > maxCommonNameLength ? {} : { commonName: dnsName }
}

interface Unsigned {
  issuer: Node
  subject: Node
  publicKeyDer: Buffer
  validity: Validity
  extensions: Node[]
}

function signCertificate(key: KeyObject, content: Unsigned): Buffer {
  const algorithm = signatureAlgorithm(key)
  const body = sequence(
    tagged(0, [integer(Uint8Array.of(2))]),
    integer(randomSerial()),
    algorithm,
    content.issuer,
    sequence(time(content.validity.notBeforeMs), time(content.validity.notAfterMs)),
    content.subject,
    encoded(content.publicKeyDer),
    tagged(3, [sequence(...content.extensions)]),
  )
  return encode(sequence(body, algorithm, bitString(sign('sha256', encode(body), key))))
}

function signatureAlgorithm(key: KeyObject): Node {
  return key.asymmetricKeyType === 'rsa'
    ? sequence(oid(oids.rsaWithSha256), nullValue())
    : sequence(oid(oids.ecdsaWithSha256))
}

/** 127 random bits: positive, and never the same twice, RFC 5280 §4.1.2.2. */
function randomSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  return serial
}

/** The leftmost 160 bits of SHA-256 over the key, RFC 7093 §2 (1). */
function keyIdOf(publicKeyDer: Buffer): Buffer {
  const key = bytesOf(children(decode(publicKeyDer))[1]).subarray(1)
  return createHash('sha256').update(key).digest().subarray(0, 20)
}

function authorityIdOf(issuer: Authority): Buffer {
  return (
    issuer.certificate.subjectKeyId ??
    keyIdOf(issuer.certificate.publicKey.export({ type: 'spki', format: 'der' }))
  )
}

function within(validity: Validity, issuer: Certificate): Validity {
  const clamped = {
    notBeforeMs: Math.max(validity.notBeforeMs, issuer.notBeforeMs),
    notAfterMs: Math.min(validity.notAfterMs, issuer.notAfterMs),
  }
  if (clamped.notBeforeMs < clamped.notAfterMs) return clamped
  throw new MeshError({
    code: 'MESH_ISSUER_EXPIRED',
    kind: 'environment',
    message: 'The issuer is not valid in the time that the certificate is for',
    reason: `It is valid from ${new Date(issuer.notBeforeMs).toISOString()} to ${new Date(issuer.notAfterMs).toISOString()}`,
    next: ['mesh check   # shows the certificates'],
  })
}

/** The public half of a private key. */
export function publicKeyOf(privateKey: KeyObject): KeyObject {
  return createPublicKey(privateKey)
}
