import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../../shared/errors.ts'
import type { NodeHooks } from '../types.ts'
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts'

type Connect = (port: number) => Promise<Duplex>

/** The streams of one forwarded connection: the client opens the one for errors first. */
interface Pair {
  data?: SpdyStream
  error?: SpdyStream
}

async function forward(pair: Required<Pair>, connect: Connect): Promise<void> {
  const port = Number(pair.data.headers.port)
  try {
    const target = await connect(port)
    // Either side may end first; the connection lasts until both have.
    await Promise.all([pipeline(pair.data, target), pipeline(target, pair.data)])
    pair.error.end()
  } catch (error) {
    pair.error.end(`error forwarding port ${port}: ${messageOf(error)}`)
    pair.data.destroy()
  }
}

/**
 * Serves port-forwarding on a SPDY connection: for each forwarded connection a stream for errors and one for data,
 * joined by their `requestid`.
 */
export function servePortForward(
  transport: Duplex,
  hooks: NodeHooks,
  namespace: string,
  pod: string,
): Promise<void> {
  const pairs = new Map<string, Pair>()
  const connect: Connect = (port) => hooks.podPortForward(namespace, pod, port)
  const connection = new SpdyConnection(transport, (stream) => {
    const id = stream.headers.requestid ?? String(stream.id)
    const pair = pairs.get(id) ?? {}
    pairs.set(id, pair)
    if (stream.headers.streamtype === 'error') pair.error = stream
    else pair.data = stream
    const { data, error } = pair
    if (!data || !error) return
    pairs.delete(id)
    error.resume()
    void forward({ data, error }, connect)
  })
  return connection.run()
}
