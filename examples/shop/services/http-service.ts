import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import { pause, type RunningService, type ServiceOptions } from './service.ts'

/** An answer: a status and a body that is sent as JSON. */
export interface Answer {
  status: number
  body: unknown
  headers?: Record<string, string>
}

/** Answers one request. Anything thrown becomes a 500. */
export type Handler = (body: Record<string, unknown>) => Answer | Promise<Answer>

/** Handlers by method and path, such as `POST /charge`. */
export type Routes = Readonly<Record<string, Handler>>

/** A request body larger than this many bytes is refused with 413. */
const maxBodyBytes = 64 * 1024

/** Serves routes over HTTP/1.1, and `GET /ready` besides. */
export async function serveHttp(options: ServiceOptions, routes: Routes): Promise<RunningService> {
  let stopping = false
  const all: Routes = { 'GET /ready': () => ({ status: 200, body: 'ready' }), ...routes }
  const server = createServer((request, response) => {
    // An answer that closes its connection sends a keep-alive client elsewhere.
    if (stopping) response.setHeader('connection', 'close')
    answer(all, request).then(
      (result) => send(response, result),
      (thrown: unknown) => send(response, { status: 500, body: { error: String(thrown) } }),
    )
  })
  // Longer than clients keep idle connections, so that no request meets a closing one.
  server.keepAliveTimeout = 120_000
  const port = await listen(server, options.port)
  return {
    port,
    async stop() {
      stopping = true
      await pause(options.lingerMs)
      await closed(server)
    },
  }
}

async function answer(routes: Routes, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? '/').split('?', 1)[0]
  const handler = routes[`${request.method} ${path}`]
  if (handler === undefined) return { status: 404, body: { error: `nothing at ${request.method} ${path}` } }
  const text = await readBody(request)
  if (text === undefined) return { status: 413, body: { error: `a body has at most ${maxBodyBytes} bytes` } }
  const body = parseObject(text)
  if (body === undefined) return { status: 400, body: { error: 'the body is not a JSON object' } }
  return handler(body)
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= maxBodyBytes) chunks.push(chunk)
  }
  return bytes > maxBodyBytes ? undefined : Buffer.concat(chunks).toString('utf8')
}

function parseObject(text: string): Record<string, unknown> | undefined {
  if (text === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}

/** Binds a port and gives its number. */
export function listen(server: NetServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, () => resolve((server.address() as AddressInfo).port))
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
}
