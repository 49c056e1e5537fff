import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { MeshError, messageOf } from '../shared/errors.ts'

/** Object identifiers of X.509. */
export const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  extensionRequest: '1.2.840.113549.1.9.14',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  rsaWithSha256: '1.2.840.113549.1.1.11',
} as const

/** A key and its public half. */
export interface KeyPair {
  privateKey: KeyObject
  publicKey: KeyObject
}

/** A new key on the curve P-256. */
export function generateKey(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
}

/** PEM of a private key: SEC 1 (`EC PRIVATE KEY`) for elliptic curves, else PKCS #8. Every tool of the field reads both. */
export function privateKeyPem(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8'
  return key.export({ type, format: 'pem' }).toString()
}

/**
 * Reads a private key that is not encrypted: an elliptic curve or RSA.
 * @throws MeshError `MESH_PRIVATE_KEY_INVALID`
 */
export function parsePrivateKey(pem: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (error) {
    throw keyError('The private key cannot be read', messageOf(error))
  }
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw keyError('The private key has a type that mesh does not use', `It is ${key.asymmetricKeyType}`)
  }
  return key
}

function keyError(message: string, reason: string): MeshError {
  return new MeshError({
    code: 'MESH_PRIVATE_KEY_INVALID',
    kind: 'usage',
    message,
    reason,
    next: ['Give an unencrypted PEM key: ECDSA (P-256 is best) or RSA.'],
  })
}
