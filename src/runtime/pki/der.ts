import asn1, { type Node } from 'node-forge/lib/asn1.js'
import { messageOf } from '../shared/errors.ts'

/** A node of an ASN.1 tree, X.690. */
export type { Node } from 'node-forge/lib/asn1.js'

/** Bytes that are not the DER that was expected. Callers turn it into an error with a code. */
export class DerError extends Error {}

const universal = 0x00
const contextSpecific = 0x80

/** Tag numbers of the universal class, X.680 §8.4. */
export const tags = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  utf8: 12,
  sequence: 16,
  set: 17,
  printableString: 19,
  teletexString: 20,
  ia5String: 22,
  utcTime: 23,
  generalizedTime: 24,
  universalString: 28,
  bmpString: 30,
} as const

function primitive(tag: number, bytes: string): Node {
  return asn1.create(universal, tag, false, bytes)
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

export function sequence(...items: Node[]): Node {
  return asn1.create(universal, tags.sequence, true, items)
}

export function set(...items: Node[]): Node {
  return asn1.create(universal, tags.set, true, items)
}

export function oid(dotted: string): Node {
  return primitive(tags.oid, asn1.oidToDer(dotted).getBytes())
}

export function boolean(value: boolean): Node {
  return primitive(tags.boolean, value ? '\xff' : '\x00')
}

/** @param bytes big-endian; a leading one bit is kept positive */
export function integer(bytes: Uint8Array): Node {
  const text = binary(bytes)
  return primitive(tags.integer, text.charCodeAt(0) > 0x7f ? `\x00${text}` : text)
}

export function octetString(bytes: Uint8Array): Node {
  return primitive(tags.octetString, binary(bytes))
}

/** @param unusedBits bits at the end that do not count */
export function bitString(bytes: Uint8Array, unusedBits = 0): Node {
  return primitive(tags.bitString, String.fromCharCode(unusedBits) + binary(bytes))
}

export function utf8String(text: string): Node {
  return primitive(tags.utf8, binary(Buffer.from(text, 'utf8')))
}

export function nullValue(): Node {
  return primitive(tags.null, '')
}

/** An implicit or explicit tag `[number]`: bytes for a primitive one, nodes for a constructed one. */
export function tagged(number: number, content: Uint8Array | Node[]): Node {
  return Array.isArray(content)
    ? asn1.create(contextSpecific, number, true, content)
    : asn1.create(contextSpecific, number, false, binary(content))
}

/** UTCTime before 2050 and GeneralizedTime from then on, RFC 5280 §4.1.2.5. */
export function time(atMs: number): Node {
  const digits = new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(0, 14)
  return new Date(atMs).getUTCFullYear() < 2050
    ? primitive(tags.utcTime, `${digits.slice(2)}Z`)
    : primitive(tags.generalizedTime, `${digits}Z`)
}

/** Bytes that are DER already, such as a name copied from another certificate. */
export function encoded(der: Uint8Array): Node {
  return decode(der)
}

export function encode(node: Node): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
}

/** @throws DerError */
export function decode(der: Uint8Array): Node {
  try {
    return asn1.fromDer(binary(der), { strict: true, parseAllBytes: true, decodeBitStrings: false })
  } catch (error) {
    throw new DerError(messageOf(error))
  }
}

/** The nodes inside a constructed one. @throws DerError */
export function children(node: Node | undefined, tag?: number): Node[] {
  if (node === undefined || !Array.isArray(node.value)) throw new DerError('a constructed value is missing')
  if (tag !== undefined && !isUniversal(node, tag)) throw new DerError(`tag ${node.type} instead of ${tag}`)
  return node.value
}

/** The bytes of a primitive node. @throws DerError */
export function bytesOf(node: Node | undefined, tag?: number): Buffer {
  if (node === undefined || typeof node.value !== 'string') throw new DerError('a primitive value is missing')
  if (tag !== undefined && !isUniversal(node, tag)) throw new DerError(`tag ${node.type} instead of ${tag}`)
  return Buffer.from(node.value, 'latin1')
}

/** @throws DerError */
export function oidOf(node: Node | undefined): string {
  const bytes = bytesOf(node, tags.oid)
  if (bytes.length === 0) throw new DerError('an empty object identifier')
  return asn1.derToOid(bytes.toString('latin1'))
}

export function isUniversal(node: Node | undefined, tag: number): boolean {
  return node !== undefined && node.tagClass === universal && node.type === tag
}

/** Whether the node is tagged `[number]`. */
export function isTagged(node: Node | undefined, number: number): boolean {
  return node !== undefined && node.tagClass === contextSpecific && node.type === number
}

/** Milliseconds since the epoch. @throws DerError */
export function timeOf(node: Node | undefined): number {
  const text = bytesOf(node).toString('latin1')
  const isUtc = isUniversal(node, tags.utcTime)
  if (!isUtc && !isUniversal(node, tags.generalizedTime)) throw new DerError('a time is missing')
  if (!(isUtc ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text)) throw new DerError(`"${text}" is not a time`)
  // RFC 5280 §4.1.2.5.1: years 50 to 99 are of the last century.
  const full = isUtc ? (Number(text.slice(0, 2)) >= 50 ? '19' : '20') + text : text
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full) ?? []
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(atMs)) throw new DerError(`"${text}" is not a time`)
  return atMs
}

/** A text of a name: any of the string types of X.520. @throws DerError */
export function textOf(node: Node | undefined): string {
  const bytes = bytesOf(node)
  if (isUniversal(node, tags.utf8)) return bytes.toString('utf8')
  if (isUniversal(node, tags.bmpString) && bytes.length % 2 === 0) {
    return Buffer.from(bytes).swap16().toString('utf16le')
  }
  const latin = [tags.printableString, tags.ia5String, tags.teletexString]
  if (latin.some((tag) => isUniversal(node, tag))) return bytes.toString('latin1')
  throw new DerError(`tag ${node?.type} is not text`)
}

/**
 * The elements right inside a constructed value, as they stand in the bytes. Signatures are verified over these, never
 * over bytes that were encoded again.
 * @throws DerError
 */
export function slices(der: Buffer): Buffer[] {
  const outer = headerAt(der, 0)
  if (outer.end !== der.length) throw new DerError('bytes after the end')
  const found: Buffer[] = []
  for (let at = outer.start; at < outer.end; ) {
    const inner = headerAt(der, at)
    if (inner.end > outer.end) throw new DerError('an element longer than what holds it')
    found.push(der.subarray(at, inner.end))
    at = inner.end
  }
  return found
}

function headerAt(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1]
  if (first === undefined) throw new DerError('too few bytes')
  let start = at + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 4 || start + count > der.length)
      throw new DerError('a length that DER does not allow')
    length = der.readUIntBE(start, count)
    start += count
  }
  if (start + length > der.length) throw new DerError('too few bytes')
  return { start, end: start + length }
}
