/** A field of a message to be written: text, bytes of an inner message, or a whole number. */
export type Written = string | Uint8Array | number

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 128) | 0x80)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}

/** A protobuf message from its fields: pairs of number and value, repeated ones several times. */
export function writeMessage(...fields: [number: number, value: Written][]): Buffer {
  const parts = fields.flatMap(([number, value]) => {
    if (typeof value === 'number') return [varint(number * 8), varint(value)]
    const bytes = Buffer.from(value as Uint8Array)
    return [varint(number * 8 + 2), varint(bytes.length), bytes]
  })
  return Buffer.concat(parts)
}
