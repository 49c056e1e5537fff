import { Duplex, PassThrough, Writable } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import type { ExecRequest, ExecStreams, TerminalSize } from './exec.ts'
import { readSizes } from './exec-spdy.ts'

/** The first byte of each message says which stream it belongs to. */
const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const

/** Subprotocols, best first. Version 5 can tell the end of standard input. */
export const execProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io']

function send(socket: WebSocket, channel: number, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const message = Buffer.concat([Buffer.from([channel]), chunk])
    socket.send(message, (error) => (error ? reject(error) : resolve()))
  })
}

function output(socket: WebSocket, channel: number): Duplex {
  const writable = new Writable({
    write(chunk: Buffer, _encoding, done) {
      send(socket, channel, chunk).then(() => done(), done)
    },
  })
  // Nobody reads from an output; the type of the hooks is a Duplex.
  return Duplex.from({ writable })
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}

/** Serves an exec request on a WebSocket (KEP-4006). */
export async function serveWebSocketExec(
  socket: WebSocket,
  request: ExecRequest,
  run: (streams: ExecStreams) => Promise<void>,
): Promise<void> {
  const stdin = request.stdin ? new PassThrough() : undefined
  const gone = new AbortController()
  let onSize: ((size: TerminalSize) => void) | undefined
  socket.on('message', (data) => {
    const message = bytesOf(data)
    const [channel] = message
    const payload = message.subarray(1)
    if (channel === channels.stdin) stdin?.write(payload)
    else if (channel === channels.resize && onSize) readSizes(payload.toString(), onSize)
    else if (channel === channels.close && payload[0] === channels.stdin) stdin?.end()
  })
  socket.on('close', () => {
    stdin?.end()
    gone.abort()
  })
  socket.on('error', () => gone.abort())
  await run({
    stdin,
    stdout: request.stdout ? output(socket, channels.stdout) : undefined,
    stderr: request.stderr ? output(socket, channels.stderr) : undefined,
    onResize: (listener) => {
      onSize = listener
    },
    async finish(status) {
      await send(socket, channels.error, Buffer.from(JSON.stringify(status))).catch(() => undefined)
      socket.close(1000)
    },
    signal: gone.signal,
  })
}
