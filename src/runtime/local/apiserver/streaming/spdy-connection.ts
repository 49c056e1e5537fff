import { Duplex } from 'node:stream'
import {
  controlFrame,
  dataFrame,
  type Frame,
  FrameReader,
  flagFin,
  frameTypes,
  words,
} from './spdy-frames.ts'
import { HeaderCodec } from './spdy-headers.ts'

const maxDataLength = 32 * 1024
/** What one stream may hold before the whole connection waits for its reader. */
const maxBuffered = 1024 * 1024
const cancel = 5

/** One stream of a connection. */
export class SpdyStream extends Duplex {
  readonly id: number
  /** Names in lower case. */
  readonly headers: Record<string, string>
  readonly #transport: Duplex
  #onRead: (() => void) | undefined

  constructor(id: number, headers: Record<string, string>, transport: Duplex) {
    super({ allowHalfOpen: true })
    this.id = id
    this.headers = headers
    this.#transport = transport
    // A stream that breaks is told by the end of its peer; nobody has to listen.
    this.on('error', () => undefined)
  }

  /** Data that came in; resolves when more may come. */
  receive(payload: Buffer, isLast: boolean): Promise<void> | undefined {
    if (this.destroyed) return undefined
    if (payload.length > 0) this.push(payload)
    if (isLast) this.push(null)
    if (this.readableLength <= maxBuffered) return undefined
    return new Promise((resolve) => {
      this.#onRead = resolve
    })
  }

  override _read(): void {
    this.#onRead?.()
    this.#onRead = undefined
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const frames: Buffer[] = []
    for (let start = 0; start < chunk.length; start += maxDataLength) {
      frames.push(dataFrame(this.id, chunk.subarray(start, start + maxDataLength)))
    }
    this.#send(Buffer.concat(frames), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(dataFrame(this.id, Buffer.alloc(0), flagFin), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onRead?.()
    const isClean = this.writableFinished
    if (!isClean && this.#transport.writable) {
      this.#transport.write(controlFrame(frameTypes.rstStream, words(this.id, cancel)))
    }
    done(error)
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.#transport.writable) this.#transport.write(bytes, done)
    else done(new Error('the connection is closed'))
  }
}

/**
 * The server's side of a SPDY/3.1 connection, as `kubectl exec` and `kubectl port-forward` speak it: streams that the
 * client opens, no pushes, no flow control (nor does their library have one).
 */
export class SpdyConnection {
  readonly #transport: Duplex
  readonly #codec = new HeaderCodec()
  readonly #streams = new Map<number, SpdyStream>()
  readonly #onStream: (stream: SpdyStream) => void

  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport
    this.#onStream = onStream
  }

  /** Serves until the transport ends. Never rejects: a broken connection is an ended one. */
  async run(): Promise<void> {
    const reader = new FrameReader()
    try {
      for await (const chunk of this.#transport as AsyncIterable<Buffer>) {
        for (const frame of reader.push(chunk)) await this.#receive(frame)
      }
    } catch {
      // Reset by the client, or malformed: in both cases nothing more can be said on it.
    } finally {
      this.close()
    }
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.destroy()
    this.#streams.clear()
    this.#transport.destroy()
    this.#codec.close()
  }

  async #receive(frame: Frame): Promise<void> {
    if (frame.kind === 'data') {
      const isLast = (frame.flags & flagFin) !== 0
      await this.#streams.get(frame.streamId)?.receive(frame.payload, isLast)
      return
    }
    switch (frame.type) {
      case frameTypes.synStream:
        return this.#open(frame.payload, (frame.flags & flagFin) !== 0)
      case frameTypes.rstStream:
        this.#streams.get(frame.payload.readUInt32BE(0))?.destroy()
        return
      case frameTypes.ping:
        this.#transport.write(controlFrame(frameTypes.ping, frame.payload))
        return
      case frameTypes.headers:
        // Only to keep the state of the compression.
        await this.#codec.decode(frame.payload.subarray(4))
        return
      default:
        return
    }
  }

  async #open(payload: Buffer, isLast: boolean): Promise<void> {
    const id = payload.readUInt32BE(0)
    const headers = await this.#codec.decode(payload.subarray(10))
    const stream = new SpdyStream(id, headers, this.#transport)
    this.#streams.set(id, stream)
    stream.once('close', () => this.#streams.delete(id))
    const reply = Buffer.concat([words(id), await this.#codec.encode({})])
    this.#transport.write(controlFrame(frameTypes.synReply, reply))
    if (isLast) void stream.receive(Buffer.alloc(0), true)
    this.#onStream(stream)
  }
}
