import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { messageOf } from '../../../shared/errors.ts'
import type { HandlerContext } from '../http/context.ts'
import type { ApiRequest, ApiResponse } from '../http/message.ts'
import type { ResourcePath } from '../http/path.ts'
import { badRequest, StatusError } from '../status.ts'
import { resolvePod, resolveService, type Target } from './endpoints.ts'

/** `[SCHEME:]NAME[:PORT]` of a proxy path. */
interface ProxyName {
  secure: boolean
  name: string
  port: string | undefined
}

function parseProxyName(text: string): ProxyName {
  const parts = text.split(':')
  if (parts.length > 3) throw badRequest(`invalid name in the path: ${text}`)
  if (parts.length === 3)
    return { secure: parts[0] === 'https', name: parts[1] ?? '', port: parts[2] || undefined }
  return { secure: false, name: parts[0] ?? '', port: parts[1] || undefined }
}

// RFC 9110 §7.6.1, and what belongs to the caller's own connection with the server.
const notForwarded = new Set([
  'authorization',
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

function keptHeaders(
  headers: Record<string, string | string[] | undefined>,
): Record<string, string | string[]> {
  const kept = Object.entries(headers).filter(
    ([name, value]) => !notForwarded.has(name) && value !== undefined,
  )
  return Object.fromEntries(kept) as Record<string, string | string[]>
}

function exchange(
  connection: Duplex,
  request: ApiRequest,
  path: string,
  host: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { ...keptHeaders(request.headers), host, 'content-length': request.body.length }
    const outgoing = httpRequest({
      createConnection: () => connection as never,
      method: request.method,
      path,
      headers,
      signal: request.signal,
    })
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(request.body)
  })
}

async function forward(
  context: HandlerContext,
  request: ApiRequest,
  path: ResourcePath,
  target: Target,
  secure: boolean,
): Promise<ApiResponse> {
  const { ip, port } = target
  const query = request.query.toString()
  const pathAndQuery = `${path.rest || '/'}${query === '' ? '' : `?${query}`}`
  try {
    const socket = await context.hooks().dialPod(ip, port)
    // The API server does not verify the certificates of what it proxies to: it has no name to verify them for.
    const connection = secure ? tlsConnect({ socket, rejectUnauthorized: false }) : socket
    const host = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
    const response = await exchange(connection, request, pathAndQuery, host)
    return { status: response.statusCode ?? 502, headers: keptHeaders(response.headers), body: response }
  } catch (error) {
    const message = `error trying to reach service: ${messageOf(error)}`
    throw new StatusError(503, 'ServiceUnavailable', message)
  }
}

/** `/api/v1/namespaces/NS/pods/[SCHEME:]NAME[:PORT]/proxy/…`. */
export function forwardToPod(
  context: HandlerContext,
  request: ApiRequest,
  path: ResourcePath,
): Promise<ApiResponse> {
  const { name, port, secure } = parseProxyName(path.name ?? '')
  const target = resolvePod(context.core.store, path.namespace ?? '', name, port)
  return forward(context, request, path, target, secure)
}

/** `/api/v1/namespaces/NS/services/[SCHEME:]NAME[:PORT]/proxy/…`. */
export function forwardToService(
  context: HandlerContext,
  request: ApiRequest,
  path: ResourcePath,
): Promise<ApiResponse> {
  const { name, port, secure } = parseProxyName(path.name ?? '')
  const target = resolveService(context.core.store, path.namespace ?? '', name, port)
  return forward(context, request, path, target, secure)
}
