import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import {
  type CallResult,
  callGrpc,
  callHttp1,
  callHttp2,
  callServerFirst,
  callTcp,
  type Target,
} from './calls.ts'

/**
 * The application of the end-to-end tests: one program that serves five protocols and, on its control port, calls a
 * peer by any of them. Ports: 8080 HTTP/1.1, 8081 HTTP/2, 8082 gRPC, 8083 TCP (client speaks first), 8084 TCP (server
 * speaks first), 9000 control.
 */

const name = process.env.PEER_NAME ?? 'peer'

function describeRequest(protocol: string, headers: http.IncomingHttpHeaders, body: string): string {
  return JSON.stringify({ server: name, protocol, headers, body })
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

const http1 = http.createServer((request, response) => {
  void textOf(request).then((body) => {
    const status = Number(new URL(request.url ?? '/', 'http://peer').searchParams.get('status') ?? 200)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(describeRequest(`HTTP/${request.httpVersion}`, request.headers, body))
  })
})

const http2Server = http2.createServer((request, response) => {
  void textOf(request).then((body) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(describeRequest(`HTTP/${request.httpVersion}`, request.headers, body))
  })
})

/** `/peer.Echo/Unary` answers the message, `/peer.Echo/Stream` answers it three times, anything else is UNIMPLEMENTED. */
const grpc = http2.createServer()
grpc.on('stream', (stream, headers) => {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', () => stream.destroy())
  stream.on('end', () => {
    if (stream.destroyed) return
    const method = headers[':path']
    const copies = method === '/peer.Echo/Unary' ? 1 : method === '/peer.Echo/Stream' ? 3 : 0
    if (copies === 0) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' },
        { endStream: true },
      )
      return
    }
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'x-server': name },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    for (let copy = 0; copy < copies; copy += 1) stream.write(Buffer.concat(chunks))
    stream.end()
  })
})

const tcp = net.createServer({ allowHalfOpen: true }, (socket) => {
  const chunks: Buffer[] = []
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => chunks.push(chunk))
  // Answers only after the client has closed its half: shows that half-close travels.
  socket.on('end', () => socket.end(`${name}:${Buffer.concat(chunks).toString('utf8')}`))
})

const serverFirst = net.createServer((socket) => {
  socket.on('error', () => socket.destroy())
  socket.write(`220 ${name} ready\r\n`)
  let line = ''
  socket.on('data', (chunk) => {
    line += chunk.toString('utf8')
    if (line.endsWith('\r\n')) socket.end(`250 ${line.trim()}\r\n`)
  })
})

const callers: Record<string, (target: Target) => Promise<CallResult>> = {
  http1: callHttp1,
  http2: callHttp2,
  grpc: callGrpc,
  tcp: callTcp,
  'server-first': callServerFirst,
}

const control = http.createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://peer')
  const reply = (status: number, value: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(value))
  }
  if (url.pathname === '/ready') return reply(200, { name })
  const call = callers[url.searchParams.get('protocol') ?? '']
  if (url.pathname !== '/call' || call === undefined) return reply(404, { error: `no ${url.pathname}` })
  const target: Target = {
    host: url.searchParams.get('host') ?? '127.0.0.1',
    port: Number(url.searchParams.get('port')),
    payload: url.searchParams.get('payload') ?? '',
    path: url.searchParams.get('path') ?? '/',
  }
  call(target).then(
    (result) => reply(200, result),
    (error: Error) => reply(200, { ok: false, error: error.message }),
  )
})

const servers: [http.Server | http2.Http2Server | net.Server, number][] = [
  [http1, 8080],
  [http2Server, 8081],
  [grpc, 8082],
  [tcp, 8083],
  [serverFirst, 8084],
  [control, 9000],
]
for (const [server, port] of servers) server.listen(port, '0.0.0.0')

process.on('SIGTERM', () => {
  for (const [server] of servers) server.close()
  process.exit(0)
})
