import { type KeyObject, X509Certificate } from 'node:crypto'
import { MeshError, messageOf } from '../shared/errors.ts'
import { bytesOf, children, DerError, decode, isTagged, type Node, slices, tags, timeOf } from './der.ts'
import {
  type AlternativeNames,
  type Extension,
  hasKeyUsage,
  readAlternativeNames,
  readExtensions,
} from './extensions.ts'
import { oids } from './keys.ts'
import { readCommonNames } from './names.ts'
import { pemBlocks, toPem } from './pem.ts'

/** A certificate that was read. */
export interface Certificate {
  der: Buffer
  /** Hexadecimal, without leading zeros. */
  serial: string
  /** Names as they stand in the bytes: names are compared byte by byte. */
  subjectDer: Buffer
  issuerDer: Buffer
  commonName: string | undefined
  names: AlternativeNames
  notBeforeMs: number
  notAfterMs: number
  publicKey: KeyObject
  isAuthority: boolean
  /** How many authorities may follow this one; no limit when undefined. */
  pathLength: number | undefined
  /** May it sign certificates? Without the extension, yes. */
  canSignCertificates: boolean
  subjectKeyId: Buffer | undefined
  /** Whether the signature of this certificate was made by that key. */
  isSignedBy(key: KeyObject): boolean
  /** Whether this certificate belongs to that private key. */
  belongsTo(privateKey: KeyObject): boolean
  toPem(): string
}

/**
 * Reads one certificate, RFC 5280.
 * @throws MeshError `MESH_CERTIFICATE_INVALID`
 */
export function parseCertificate(der: Uint8Array): Certificate {
  try {
    return readCertificate(Buffer.from(der.buffer, der.byteOffset, der.byteLength))
  } catch (error) {
    throw certificateError('The certificate cannot be read', messageOf(error))
  }
}

/**
 * Reads every certificate of a PEM text, at least one. Blocks of other kinds are passed over.
 * @throws MeshError `MESH_CERTIFICATE_INVALID`
 */
export function parseCertificates(pem: string): Certificate[] {
  const blocks = pemBlocks(pem).filter(({ label }) => label === 'CERTIFICATE')
  if (blocks.length === 0)
    throw certificateError('There is no certificate', 'No PEM block CERTIFICATE was found')
  return blocks.map(({ der }) => parseCertificate(der))
}

function readCertificate(der: Buffer): Certificate {
  const [body] = slices(der)
  if (body === undefined) throw new DerError('an empty sequence')
  const x509 = new X509Certificate(der)
  const parts = slices(body)
  const nodes = children(decode(body), tags.sequence)
  // The version is tagged [0] and absent in version 1.
  const at = isTagged(nodes[0], 0) ? 1 : 0
  const [notBefore, notAfter] = children(nodes[at + 3], tags.sequence)
  const extensions = extensionsOf(nodes)
  const authority = readBasicConstraints(extensions.get(oids.basicConstraints))
  const usage = extensions.get(oids.keyUsage)
  const keyId = extensions.get(oids.subjectKeyId)
  return {
    der,
    serial: bytesOf(nodes[at], tags.integer)
      .toString('hex')
      .replace(/^0+(?=.)/, ''),
    issuerDer: partOf(parts, at + 2),
    subjectDer: partOf(parts, at + 4),
    commonName: readCommonNames(nodes[at + 4])[0],
    names: readAlternativeNames(extensions.get(oids.subjectAltName)?.value),
    notBeforeMs: timeOf(notBefore),
    notAfterMs: timeOf(notAfter),
    publicKey: x509.publicKey,
    isAuthority: authority.isAuthority,
    pathLength: authority.pathLength,
    canSignCertificates: usage === undefined || hasKeyUsage(usage.value, 'keyCertSign'),
    subjectKeyId: keyId === undefined ? undefined : bytesOf(decode(keyId.value), tags.octetString),
    isSignedBy: (key) => {
      try {
        return x509.verify(key)
      } catch {
        return false
      }
    },
    belongsTo: (key) => {
      try {
        return x509.checkPrivateKey(key)
      } catch {
        return false
      }
    },
    toPem: () => toPem('CERTIFICATE', der),
  }
}

function partOf(parts: Buffer[], index: number): Buffer {
  const part = parts[index]
  if (part === undefined) throw new DerError('a field is missing')
  return part
}

function extensionsOf(nodes: Node[]): Map<string, Extension> {
  const tagged = nodes.find((node) => isTagged(node, 3))
  const list = tagged === undefined ? undefined : children(tagged)[0]
  return list === undefined ? new Map() : readExtensions(list)
}

function readBasicConstraints(found: Extension | undefined): {
  isAuthority: boolean
  pathLength: number | undefined
} {
  if (found === undefined) return { isAuthority: false, pathLength: undefined }
  const items = children(decode(found.value), tags.sequence)
  const flag = items.find((item) => item.type === tags.boolean)
  const limit = items.find((item) => item.type === tags.integer)
  return {
    isAuthority: flag !== undefined && bytesOf(flag)[0] !== 0,
    pathLength: limit === undefined ? undefined : Number.parseInt(bytesOf(limit).toString('hex'), 16),
  }
}

function certificateError(message: string, reason: string): MeshError {
  return new MeshError({
    code: 'MESH_CERTIFICATE_INVALID',
    kind: 'usage',
    message,
    reason,
    next: ['openssl x509 -noout -text -in FILE   # does it read?'],
  })
}
