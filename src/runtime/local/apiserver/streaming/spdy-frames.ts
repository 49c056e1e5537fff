/** Types of control frames, draft-mbelshe-httpbis-spdy-00 §2.6. */
export const frameTypes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const

/** The last frame of its side of a stream. */
export const flagFin = 1

export type Frame =
  | { kind: 'data'; streamId: number; flags: number; payload: Buffer }
  | { kind: 'control'; type: number; flags: number; payload: Buffer }

const headLength = 8
const version = 3

/** Reads frames from chunks of any size. */
export class FrameReader {
  #buffered: Buffer = Buffer.alloc(0)

  /** The frames that a chunk completes. */
  push(chunk: Buffer): Frame[] {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk])
    const frames: Frame[] = []
    let position = 0
    while (this.#buffered.length - position >= headLength) {
      const length = this.#buffered.readUIntBE(position + 5, 3)
      const end = position + headLength + length
      if (end > this.#buffered.length) break
      frames.push(parseFrame(this.#buffered.subarray(position, end)))
      position = end
    }
    this.#buffered = this.#buffered.subarray(position)
    return frames
  }
}

function parseFrame(bytes: Buffer): Frame {
  const first = bytes.readUInt32BE(0)
  const flags = bytes.readUInt8(4)
  const payload = bytes.subarray(headLength)
  if (first < 0x8000_0000) return { kind: 'data', streamId: first, flags, payload }
  return { kind: 'control', type: first & 0xffff, flags, payload }
}

function frame(first: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headLength)
  head.writeUInt32BE(first >>> 0, 0)
  head.writeUInt8(flags, 4)
  head.writeUIntBE(payload.length, 5, 3)
  return Buffer.concat([head, payload])
}

export function dataFrame(streamId: number, payload: Buffer, flags = 0): Buffer {
  return frame(streamId, flags, payload)
}

export function controlFrame(type: number, payload: Buffer, flags = 0): Buffer {
  return frame(0x8000_0000 + version * 0x1_0000 + type, flags, payload)
}

/** A 32-bit number as a payload, or several. */
export function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value >>> 0, 4 * index)
  return buffer
}
