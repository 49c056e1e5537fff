import { isIP } from 'node:net'
import {
  bitString,
  boolean,
  bytesOf,
  children,
  DerError,
  decode,
  encode,
  integer,
  isTagged,
  isUniversal,
  type Node,
  octetString,
  oid,
  oidOf,
  sequence,
  tagged,
  tags,
} from './der.ts'
import { oids } from './keys.ts'

/** Alternative names of a subject, RFC 5280 §4.2.1.6. */
export interface AlternativeNames {
  dnsNames: string[]
  ipAddresses: string[]
  uris: string[]
  emails: string[]
  /** Names of other kinds, which mesh does not read. */
  otherCount: number
}

/** One extension as it stands in a certificate or request. */
export interface Extension {
  critical: boolean
  /** DER inside the octet string. */
  value: Buffer
}

/** An extension to be written. */
export function extension(id: string, critical: boolean, value: Node): Node {
  const body = octetString(encode(value))
  return critical ? sequence(oid(id), boolean(true), body) : sequence(oid(id), body)
}

/** @param pathLength how many authorities may follow; absent for no limit */
export function basicConstraints(isAuthority: boolean, pathLength?: number): Node {
  if (!isAuthority) return extension(oids.basicConstraints, true, sequence())
  const limit = pathLength === undefined ? [] : [integer(Uint8Array.of(pathLength))]
  return extension(oids.basicConstraints, true, sequence(boolean(true), ...limit))
}

/** Bits of RFC 5280 §4.2.1.3, from the most significant one on. */
const usageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const
export type KeyUsage = keyof typeof usageBits

export function keyUsage(...usages: KeyUsage[]): Node {
  let byte = 0
  for (const usage of usages) byte |= 0x80 >> usageBits[usage]
  const unusedBits = 31 - Math.clz32(byte & -byte)
  return extension(oids.keyUsage, true, bitString(Uint8Array.of(byte), unusedBits))
}

export function hasKeyUsage(value: Buffer, usage: KeyUsage): boolean {
  const bits = bytesOf(decode(value), tags.bitString)
  return ((bits[1] ?? 0) & (0x80 >> usageBits[usage])) !== 0
}

export function extendedKeyUsage(...purposes: string[]): Node {
  return extension(oids.extendedKeyUsage, false, sequence(...purposes.map((purpose) => oid(purpose))))
}

export function subjectKeyId(id: Uint8Array): Node {
  return extension(oids.subjectKeyId, false, octetString(id))
}

export function authorityKeyId(id: Uint8Array): Node {
  return extension(oids.authorityKeyId, false, sequence(tagged(0, id)))
}

/** @param critical must be true when the subject is empty, RFC 5280 §4.1.2.6 */
export function alternativeNames(
  names: { dnsNames?: readonly string[]; ipAddresses?: readonly string[] },
  critical: boolean,
): Node {
  const items = [
    ...(names.dnsNames ?? []).map((name) => tagged(2, Buffer.from(name, 'latin1'))),
    ...(names.ipAddresses ?? []).map((address) => tagged(7, packAddress(address))),
  ]
  return extension(oids.subjectAltName, critical, sequence(...items))
}

function packAddress(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  if (isIP(address) !== 6) throw new DerError(`"${address}" is not an IP address`)
  // The URL parser writes the one canonical form, with at most one `::`.
  const [head = '', tail] = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname
    .slice(1, -1)
    .split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const missing = 8 - groups(head).length - groups(tail ?? '').length
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail ?? '')]
  return Buffer.from(
    all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  )
}

function unpackAddress(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.')
  if (bytes.length !== 16) throw new DerError(`an IP address of ${bytes.length} bytes`)
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/**
 * Reads a list of extensions. The same one twice is refused, RFC 5280 §4.2.
 * @throws DerError
 */
export function readExtensions(list: Node): Map<string, Extension> {
  const found = new Map<string, Extension>()
  for (const item of children(list, tags.sequence)) {
    const [id, second, third] = children(item, tags.sequence)
    const isFlagged = isUniversal(second, tags.boolean)
    const name = oidOf(id)
    if (found.has(name)) throw new DerError(`the extension ${name} is there twice`)
    found.set(name, {
      critical: isFlagged && bytesOf(second)[0] !== 0,
      value: bytesOf(isFlagged ? third : second, tags.octetString),
    })
  }
  return found
}

/** @throws DerError */
export function readAlternativeNames(value: Buffer | undefined): AlternativeNames {
  const names: AlternativeNames = { dnsNames: [], ipAddresses: [], uris: [], emails: [], otherCount: 0 }
  if (value === undefined) return names
  for (const item of children(decode(value), tags.sequence)) {
    if (isTagged(item, 1)) names.emails.push(asciiOf(item))
    else if (isTagged(item, 2)) names.dnsNames.push(asciiOf(item))
    else if (isTagged(item, 6)) names.uris.push(asciiOf(item))
    else if (isTagged(item, 7)) names.ipAddresses.push(unpackAddress(bytesOf(item)))
    else names.otherCount += 1
  }
  return names
}

/** Text of an IA5String; what is not printable ASCII, such as NUL, is refused, since it has fooled others. */
function asciiOf(node: Node): string {
  const text = bytesOf(node).toString('latin1')
  if (!/^[\x20-\x7e]*$/.test(text)) throw new DerError('a name that is not ASCII text')
  return text
}
