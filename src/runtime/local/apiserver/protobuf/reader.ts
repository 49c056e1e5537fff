import { badRequest } from '../status.ts'

/** One field of a protobuf message as it is on the wire. */
export type WireField =
  | { number: number; kind: 'varint'; value: bigint }
  | { number: number; kind: 'bytes'; value: Uint8Array }
  | { number: number; kind: 'fixed64'; value: DataView }
  | { number: number; kind: 'fixed32'; value: DataView }

function truncated(): Error {
  return badRequest('the protobuf body ends early or is malformed')
}

class Reader {
  readonly #bytes: Uint8Array
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#position]
      if (byte === undefined) throw truncated()
      this.#position += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, value)
    }
    throw truncated()
  }

  take(length: number): Uint8Array {
    const end = this.#position + length
    if (length < 0 || end > this.#bytes.length) throw truncated()
    const taken = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return taken
  }

  view(length: number): DataView {
    const taken = this.take(length)
    return new DataView(taken.buffer, taken.byteOffset, length)
  }
}

/**
 * The fields of a message, https://protobuf.dev/programming-guides/encoding/.
 * @throws KubeError 400 when it is malformed
 */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  const reader = new Reader(bytes)
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint())
    const number = tag >>> 3
    switch (tag & 7) {
      case 0:
        yield { number, kind: 'varint', value: reader.varint() }
        break
      case 1:
        yield { number, kind: 'fixed64', value: reader.view(8) }
        break
      case 2:
        yield { number, kind: 'bytes', value: reader.take(Number(reader.varint())) }
        break
      case 5:
        yield { number, kind: 'fixed32', value: reader.view(4) }
        break
      default:
        throw truncated()
    }
  }
}
