import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'

export interface Target {
  host: string
  port: number
  payload: string
  path: string
}

/** What one call brought. */
export interface CallResult {
  ok: boolean
  /** The body, or what a TCP server said. */
  body?: string
  status?: number
  headers?: Record<string, string | string[] | undefined>
  error?: string
  durationMs?: number
}

const deadlineMs = 15_000

function timed<T>(start: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs)
    start(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

export function callHttp1(target: Target): Promise<CallResult> {
  return timed((resolve, reject) => {
    const request = http.request(
      { host: target.host, port: target.port, path: target.path, method: 'POST', agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const status = response.statusCode ?? 0
          resolve({
            ok: status === 200,
            status,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          })
        })
      },
    )
    request.on('error', reject)
    request.end(target.payload)
  })
}

function overHttp2(
  target: Target,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer,
  finish: (answer: {
    headers: http2.IncomingHttpHeaders
    trailers: http2.IncomingHttpHeaders
    body: Buffer
  }) => CallResult,
): Promise<CallResult> {
  return timed((resolve, reject) => {
    const session = http2.connect(`http://${target.host}:${target.port}`)
    session.on('error', reject)
    const stream = session.request({ ':method': 'POST', ...headers })
    let answered: http2.IncomingHttpHeaders = {}
    let trailers: http2.IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    stream.on('response', (received) => {
      answered = received
    })
    stream.on('trailers', (received) => {
      trailers = received
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => {
      resolve(finish({ headers: answered, trailers, body: Buffer.concat(chunks) }))
      session.close()
    })
    stream.end(body)
  })
}

export function callHttp2(target: Target): Promise<CallResult> {
  return overHttp2(target, { ':path': target.path }, Buffer.from(target.payload), ({ headers, body }) => {
    const status = Number(headers[':status'] ?? 0)
    return { ok: status === 200, status, headers: { ...headers }, body: body.toString('utf8') }
  })
}

/** A message with the five-octet prefix of gRPC: no compression, length. */
function grpcFrame(payload: string): Buffer {
  const message = Buffer.from(payload)
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

function grpcMessages(body: Buffer): string[] {
  const messages: string[] = []
  for (let offset = 0; offset + 5 <= body.length; ) {
    const length = body.readUInt32BE(offset + 1)
    messages.push(body.subarray(offset + 5, offset + 5 + length).toString('utf8'))
    offset += 5 + length
  }
  return messages
}

export function callGrpc(target: Target): Promise<CallResult> {
  const headers = {
    ':path': target.path === '/' ? '/peer.Echo/Unary' : target.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  }
  return overHttp2(target, headers, grpcFrame(target.payload), ({ headers, trailers, body }) => {
    const grpcStatus = String(trailers['grpc-status'] ?? headers['grpc-status'] ?? 'none')
    return {
      ok: grpcStatus === '0',
      status: Number(headers[':status'] ?? 0),
      headers: {
        ...headers,
        'grpc-status': grpcStatus,
        'grpc-message': String(trailers['grpc-message'] ?? headers['grpc-message'] ?? ''),
      },
      body: grpcMessages(body).join('|'),
    }
  })
}

export function callTcp(target: Target): Promise<CallResult> {
  return timed((resolve, reject) => {
    const socket = net.connect({ host: target.host, port: target.port, allowHalfOpen: true })
    const chunks: Buffer[] = []
    socket.on('error', reject)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      resolve({ ok: body.endsWith(`:${target.payload}`), body })
      socket.destroy()
    })
    socket.end(target.payload)
  })
}

/** Says nothing until the server has greeted. */
export function callServerFirst(target: Target): Promise<CallResult> {
  return timed((resolve, reject) => {
    const startedMs = Date.now()
    const socket = net.connect({ host: target.host, port: target.port })
    let said = ''
    let greetedMs = 0
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      said += chunk.toString('utf8')
      if (greetedMs === 0 && said.includes('\r\n')) {
        greetedMs = Date.now()
        socket.write(`${target.payload}\r\n`)
      }
    })
    socket.on('end', () => {
      resolve({ ok: said.includes(`250 ${target.payload}`), body: said, durationMs: greetedMs - startedMs })
      socket.destroy()
    })
  })
}
