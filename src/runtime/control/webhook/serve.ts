import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import type { RunningServer } from '../admin.ts'
import { closeServer, type ListenAddress, listen } from '../server.ts'

/** `admission.k8s.io` AdmissionRequest, the parts that are read. */
export interface AdmissionRequest {
  uid: string
  kind: { group: string; version: string; kind: string }
  namespace?: string
  name?: string
  operation: string
  dryRun?: boolean
  object: unknown
}

/** What the API server is told. */
export interface AdmissionAnswer {
  allowed: boolean
  /** JSON patch, RFC 6902. */
  patch?: readonly { op: string; path: string; value?: unknown }[]
  warnings?: string[]
  /** Why it is refused. */
  message?: string
}

export interface WebhookServer extends RunningServer {
  /** Uses another certificate from the next connection on. */
  setCertificate(tls: { certificatePem: string; privateKeyPem: string }): void
}

/** Largest body, in bytes. Objects of Kubernetes are at most 3 MB, and a review holds two. */
const maxBodyBytes = 10 * 1024 * 1024

/** Serves admission reviews over TLS 1.2 and newer. Until a certificate is set, handshakes fail. */
export async function startWebhookServer(
  address: ListenAddress,
  admit: (request: AdmissionRequest) => Promise<AdmissionAnswer>,
): Promise<WebhookServer> {
  const tlsOptions: SecureContextOptions = { minVersion: 'TLSv1.2' }
  const server = createServer(tlsOptions, (request, response) => {
    review(request, response, admit).catch(() => response.destroy())
  })
  server.requestTimeout = 30_000
  server.keepAliveTimeout = 60_000
  const bound = await listen(server, address)
  return {
    address: bound,
    close: () => closeServer(server),
    setCertificate: ({ certificatePem, privateKeyPem }) =>
      server.setSecureContext({ ...tlsOptions, cert: certificatePem, key: privateKeyPem }),
  }
}

async function review(
  request: IncomingMessage,
  response: ServerResponse,
  admit: (request: AdmissionRequest) => Promise<AdmissionAnswer>,
): Promise<void> {
  if (request.method !== 'POST') return reply(response, 405, 'only POST\n')
  const { socket } = request
  const body = await readBody(request)
  if (body === undefined) {
    // The rest of the body is not wanted; without this the connection would stay open for it.
    response.on('finish', () => socket.destroySoon())
    return reply(response, 413, `a review of more than ${maxBodyBytes} bytes\n`)
  }
  const parsed = parseReview(body)
  if (typeof parsed === 'string') return reply(response, 400, `${parsed}\n`)
  const answer = await admit(parsed.request)
  const review = {
    apiVersion: parsed.apiVersion,
    kind: 'AdmissionReview',
    response: responseOf(parsed.request.uid, answer),
  }
  reply(response, 200, JSON.stringify(review), 'application/json')
}

/** The whole body; undefined when it is too large. The message is not destroyed then, so that it can be answered. */
function readBody(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= maxBodyBytes) chunks.push(chunk)
      else resolve(undefined)
    })
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection was closed')))
  })
}

function parseReview(body: string): { apiVersion: string; request: AdmissionRequest } | string {
  let review: { apiVersion?: string; kind?: string; request?: Partial<AdmissionRequest> } | null
  try {
    review = JSON.parse(body) as typeof review
  } catch {
    return 'the body is not JSON'
  }
  const { apiVersion = '', kind, request } = review ?? {}
  if (kind !== 'AdmissionReview' || !/^admission\.k8s\.io\/v1(beta1)?$/.test(apiVersion)) {
    return 'the body is no AdmissionReview of admission.k8s.io/v1 or v1beta1'
  }
  if (typeof request?.uid !== 'string' || typeof request.kind?.kind !== 'string') {
    return 'the review has no request with a uid and a kind'
  }
  return { apiVersion, request: request as AdmissionRequest }
}

function responseOf(uid: string, answer: AdmissionAnswer): object {
  const { patch = [], warnings = [], message } = answer
  return {
    uid,
    allowed: answer.allowed,
    ...(patch.length === 0
      ? {}
      : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(message === undefined ? {} : { status: { code: 400, reason: 'BadRequest', message } }),
  }
}

function reply(response: ServerResponse, status: number, body: string, contentType = 'text/plain'): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
