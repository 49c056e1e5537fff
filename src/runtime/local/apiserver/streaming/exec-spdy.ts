import type { Duplex } from 'node:stream'
import { finished } from 'node:stream/promises'
import { isObject } from '../json.ts'
import type { ExecRequest, ExecStreams, TerminalSize } from './exec.ts'
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts'

function expectedStreams(request: ExecRequest): string[] {
  return [
    'error',
    ...(request.stdin ? ['stdin'] : []),
    ...(request.stdout ? ['stdout'] : []),
    ...(request.stderr ? ['stderr'] : []),
    ...(request.tty ? ['resize'] : []),
  ]
}

/** Calls a listener with each `{"Width":80,"Height":24}` of a stream of JSON values. */
export function readSizes(text: string, listener: (size: TerminalSize) => void): void {
  for (const part of text.split(/\n|(?<=\})/)) {
    try {
      const size: unknown = JSON.parse(part)
      if (isObject(size)) listener({ columns: Number(size.Width), rows: Number(size.Height) })
    } catch {
      // An incomplete or foreign value: the size stays as it is.
    }
  }
}

async function ended(stream: Duplex | undefined): Promise<void> {
  if (!stream) return
  stream.end()
  await finished(stream, { readable: false }).catch(() => undefined)
}

/** Waits for the streams of an exec request on a SPDY connection, then hands them over. */
export function serveSpdyExec(
  transport: Duplex,
  request: ExecRequest,
  run: (streams: ExecStreams) => Promise<void>,
): Promise<void> {
  const expected = expectedStreams(request)
  const open = new Map<string, SpdyStream>()
  const gone = new AbortController()
  transport.once('close', () => gone.abort())
  const connection = new SpdyConnection(transport, (stream) => {
    open.set(stream.headers.streamtype ?? '', stream)
    if (open.size < expected.length || !expected.every((name) => open.has(name))) return
    const streams: ExecStreams = {
      stdin: open.get('stdin'),
      stdout: open.get('stdout'),
      stderr: open.get('stderr'),
      onResize: (listener) =>
        open.get('resize')?.on('data', (chunk: Buffer) => readSizes(chunk.toString(), listener)),
      async finish(status) {
        await Promise.all([ended(open.get('stdout')), ended(open.get('stderr'))])
        open.get('error')?.write(JSON.stringify(status))
        await ended(open.get('error'))
        // The client closes the connection when it has read everything.
      },
      signal: gone.signal,
    }
    void run(streams)
  })
  return connection.run()
}
