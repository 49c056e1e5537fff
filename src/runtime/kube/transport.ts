import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { MeshError, messageOf } from '../shared/errors.ts'
import { type CredentialSource, certificateAuthority } from './credentials.ts'
import type { KubeContext } from './kubeconfig.ts'

/** A request to the API server; `path` has its query. */
export interface TransportRequest {
  method: string
  path: string
  headers?: Record<string, string>
  body?: string | undefined
  signal?: AbortSignal | undefined
  /** Longest silence of the connection, in ms. None for streams. */
  idleTimeoutMs?: number
}

/** Sends requests over kept-alive connections. */
export interface Transport {
  /** Answers once the headers are there. The caller reads or destroys the message. */
  send(request: TransportRequest): Promise<IncomingMessage>
  close(): void
}

/** Error codes of Node that mean that the server's certificate is not one to trust. */
const untrustedCodes = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
])

/**
 * Connects to the server of a context. Its certificate is always verified, unless the kubeconfig itself says
 * `insecure-skip-tls-verify`.
 */
export function createTransport(context: KubeContext, credentials: CredentialSource): Transport {
  const url = new URL(context.cluster.server)
  refuseProxy(context)
  const secure = url.protocol === 'https:'
  const ca = certificateAuthority(context.cluster)
  const options = { keepAlive: true, keepAliveMsecs: 10_000, maxFreeSockets: 16, scheduling: 'lifo' } as const
  const agent = secure
    ? new HttpsAgent({
        ...options,
        ...(ca === undefined ? {} : { ca }),
        ...(context.cluster.tlsServerName === undefined ? {} : { servername: context.cluster.tlsServerName }),
        rejectUnauthorized: !context.cluster.insecureSkipTlsVerify,
      })
    : new HttpAgent(options)
  const base = {
    protocol: url.protocol,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || (secure ? 443 : 80),
    agent,
  }
  const prefix = url.pathname.replace(/\/+$/, '')

  const sendOnce = async (request: TransportRequest, refresh: boolean): Promise<IncomingMessage> => {
    request.signal?.throwIfAborted()
    const { headers, clientCertificate } = await credentials(refresh)
    const body = request.body === undefined ? undefined : Buffer.from(request.body)
    const outgoing = (secure ? httpsRequest : httpRequest)({
      ...base,
      method: request.method,
      path: prefix + request.path,
      ...(clientCertificate ?? {}),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      headers: {
        'user-agent': 'mesh',
        accept: 'application/json',
        ...headers,
        ...(body === undefined ? {} : { 'content-length': body.length }),
        ...request.headers,
      },
    })
    return await answerOf(outgoing, body, request, context)
  }

  return {
    async send(request) {
      const answer = await sendOnce(request, false)
      if (answer.statusCode !== 401) return answer
      answer.resume()
      return await sendOnce(request, true)
    },
    close: () => agent.destroy(),
  }
}

function answerOf(
  outgoing: ClientRequest,
  body: Buffer | undefined,
  request: TransportRequest,
  context: KubeContext,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', (error) => reject(transportError(error, request.signal, context)))
    outgoing.on('response', resolve)
    if (request.idleTimeoutMs !== undefined) {
      outgoing.setTimeout(request.idleTimeoutMs, () => {
        outgoing.destroy(new Error(`no answer for ${(request.idleTimeoutMs ?? 0) / 1000} s`))
      })
    }
    outgoing.end(body)
  })
}

/** Reads a whole body. */
export async function readBody(
  message: IncomingMessage,
  context: KubeContext,
  signal?: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of message) chunks.push(chunk as Buffer)
  } catch (error) {
    throw transportError(error, signal, context)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** What a failed exchange is for the caller: the signal's reason when it was aborted, else why the server is out of reach. */
export function transportError(
  error: unknown,
  signal: AbortSignal | undefined,
  context: KubeContext,
): unknown {
  if (signal?.aborted) return signal.reason
  if (error instanceof MeshError) return error
  const code = (error as { code?: string }).code ?? ''
  const { server } = context.cluster
  if (untrustedCodes.has(code)) {
    return new MeshError({
      code: 'MESH_KUBE_UNTRUSTED',
      kind: 'environment',
      message: `The certificate of ${server} cannot be trusted`,
      reason: messageOf(error),
      next: [`Mend certificate-authority of the cluster that context ${context.name} names.`],
      cause: error,
    })
  }
  return new MeshError({
    code: 'MESH_KUBE_UNREACHABLE',
    kind: 'environment',
    message: `Cannot reach the Kubernetes API at ${server}`,
    reason: messageOf(error) || code,
    next: ['kubectl cluster-info', 'Is the cluster running, and is this its kubeconfig?'],
    cause: error,
  })
}

function refuseProxy(context: KubeContext): void {
  const { proxyUrl } = context.cluster
  if (proxyUrl === undefined) return
  throw new MeshError({
    code: 'MESH_KUBECONFIG_INVALID',
    kind: 'usage',
    message: `Context ${context.name} reaches its cluster through the proxy ${proxyUrl}, which mesh cannot do`,
    next: ['kubectl proxy   # and name http://127.0.0.1:8001 as the server'],
  })
}
