import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { MeshError, messageOf } from '../shared/errors.ts'
import {
  bitString,
  bytesOf,
  children,
  DerError,
  decode,
  encode,
  encoded,
  integer,
  isTagged,
  type Node,
  oid,
  oidOf,
  sequence,
  set,
  slices,
  tagged,
  tags,
} from './der.ts'
import {
  type AlternativeNames,
  alternativeNames,
  readAlternativeNames,
  readExtensions,
} from './extensions.ts'
import { type KeyPair, oids } from './keys.ts'
import { readCommonNames, writeName } from './names.ts'

/** A request for a certificate, PKCS #10 (RFC 2986), whose maker has proved to hold the key. */
export interface Csr {
  publicKey: KeyObject
  /** SubjectPublicKeyInfo, DER. */
  publicKeyDer: Buffer
  commonNames: string[]
  names: AlternativeNames
}

const digests: Record<string, string> = {
  [oids.ecdsaWithSha256]: 'sha256',
  [oids.ecdsaWithSha384]: 'sha384',
  [oids.ecdsaWithSha512]: 'sha512',
}
const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

/**
 * Reads a request and verifies its signature over the bytes as they came. Only ECDSA keys are taken.
 * @throws MeshError `MESH_CSR_INVALID`
 */
export function parseCsr(der: Uint8Array): Csr {
  try {
    return readCsr(Buffer.from(der.buffer, der.byteOffset, der.byteLength))
  } catch (error) {
    throw new MeshError({
      code: 'MESH_CSR_INVALID',
      kind: 'usage',
      message: 'The certificate request is not valid',
      reason: messageOf(error),
      next: ['openssl req -verify -noout -text -inform DER -in FILE   # does it read?'],
    })
  }
}

function readCsr(der: Buffer): Csr {
  const [body, , signature] = slices(der)
  if (body === undefined || signature === undefined) throw new DerError('a field is missing')
  const [, algorithm] = children(decode(der), tags.sequence)
  const digest = digests[oidOf(children(algorithm, tags.sequence)[0])]
  if (digest === undefined) throw new DerError('the signature is not ECDSA with SHA-2')
  const [, subject, publicKeyInfo, attributes] = children(decode(body), tags.sequence)
  const publicKeyDer = slices(body)[2]
  if (subject === undefined || publicKeyInfo === undefined || publicKeyDer === undefined) {
    throw new DerError('a field is missing')
  }
  const publicKey = createPublicKey({ key: publicKeyDer, format: 'der', type: 'spki' })
  if (publicKey.asymmetricKeyType !== 'ec') throw new DerError(`the key is ${publicKey.asymmetricKeyType}`)
  const curve = publicKey.asymmetricKeyDetails?.namedCurve ?? ''
  if (!curves.has(curve)) throw new DerError(`the key is on the curve ${curve}`)
  const bits = bytesOf(decode(signature), tags.bitString)
  if (!verify(digest, body, publicKey, bits.subarray(1))) throw new DerError('the signature is wrong')
  return { publicKey, publicKeyDer, commonNames: readCommonNames(subject), names: namesOf(attributes) }
}

function namesOf(attributes: Node | undefined): AlternativeNames {
  if (attributes === undefined) return readAlternativeNames(undefined)
  if (!isTagged(attributes, 0)) throw new DerError('the attributes are not tagged [0]')
  const requests = children(attributes)
    .map((attribute) => children(attribute, tags.sequence))
    .filter(([id]) => oidOf(id) === oids.extensionRequest)
    .flatMap(([, values]) => children(values, tags.set))
  if (requests.length > 1) throw new DerError('extensions are requested twice')
  const [request] = requests
  const extensions = request === undefined ? undefined : readExtensions(request)
  return readAlternativeNames(extensions?.get(oids.subjectAltName)?.value)
}

/** Makes a request for the names, signed with ECDSA and SHA-256. @returns DER */
export function createCsr(
  key: KeyPair,
  names: { commonName?: string; dnsNames?: readonly string[]; ipAddresses?: readonly string[] },
): Buffer {
  const body = sequence(
    integer(Uint8Array.of(0)),
    writeName(names.commonName === undefined ? {} : { commonName: names.commonName }),
    encoded(key.publicKey.export({ type: 'spki', format: 'der' })),
    tagged(0, [sequence(oid(oids.extensionRequest), set(sequence(alternativeNames(names, false))))]),
  )
  const signature = sign('sha256', encode(body), key.privateKey)
  return encode(sequence(body, sequence(oid(oids.ecdsaWithSha256)), bitString(signature)))
}
