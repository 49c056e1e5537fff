import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { resources } from '../../../kube/resources.ts'
import { impersonate } from '../auth/impersonate.ts'
import { denied, resourceAttributes } from '../http/attributes.ts'
import type { HandlerContext } from '../http/context.ts'
import { chooseContainer } from '../http/logs.ts'
import type { ApiRequest } from '../http/message.ts'
import { headersOf, splitUrl } from '../http/node-adapter.ts'
import { parseResourcePath, type ResourcePath } from '../http/path.ts'
import type { StoredObject, User } from '../objects.ts'
import { badRequest, notFound, StatusError, statusOf } from '../status.ts'
import { type ExecStreams, execRequestOf, runExec } from './exec.ts'
import { serveSpdyExec } from './exec-spdy.ts'
import { execProtocols, serveWebSocketExec } from './exec-websocket.ts'
import { servePortForward } from './port-forward.ts'

const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io'
const execSpdyProtocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io']

/** A request to change protocols, checked and authorized. */
interface Upgrade {
  context: HandlerContext
  incoming: IncomingMessage
  socket: Duplex
  head: Buffer
  request: ApiRequest
  path: ResourcePath
  pod: StoredObject
}

function refuse(socket: Duplex, error: unknown): void {
  const status = statusOf(error)
  const body = JSON.stringify(status)
  const head = [
    `HTTP/1.1 ${status.code} ${String(status.reason)}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function listOf(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '')
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** Completes a change to SPDY and gives the transport. */
function upgradeToSpdy(upgrade: Upgrade, protocols: readonly string[]): Duplex {
  const { incoming, socket, head } = upgrade
  const wanted = listOf(incoming.headers['x-stream-protocol-version'])
  const protocol = protocols.find((candidate) => wanted.includes(candidate))
  if (protocol === undefined) {
    const message = `unable to upgrade: none of the protocols is supported: ${wanted.join(', ')}`
    throw new StatusError(403, 'Forbidden', message)
  }
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: SPDY/3.1',
    'Connection: Upgrade',
    `X-Stream-Protocol-Version: ${protocol}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  return socket
}

function withWebSocket(
  { incoming, socket, head }: Upgrade,
  protocols: readonly string[],
  serve: (webSocket: import('ws').WebSocket) => void,
): void {
  const offered = listOf(incoming.headers['sec-websocket-protocol'])
  const protocol = protocols.find((candidate) => offered.includes(candidate))
  if (protocol === undefined) throw badRequest(`none of the subprotocols is supported: ${offered.join(', ')}`)
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => protocol,
    maxPayload: 64 * 1024 * 1024,
  })
  server.handleUpgrade(incoming, socket, head, serve)
}

function isWebSocket(incoming: IncomingMessage): boolean {
  return (incoming.headers.upgrade ?? '').toLowerCase() === 'websocket'
}

function startPortForward(upgrade: Upgrade): void {
  const { context, pod } = upgrade
  const { namespace = '', name } = pod.metadata
  const hooks = context.hooks()
  if (!isWebSocket(upgrade.incoming)) {
    void servePortForward(upgradeToSpdy(upgrade, ['portforward.k8s.io']), hooks, namespace, name)
    return
  }
  withWebSocket(upgrade, [tunnelProtocol], (webSocket) => {
    const transport = createWebSocketStream(webSocket)
    transport.on('error', () => transport.destroy())
    void servePortForward(transport, hooks, namespace, name)
  })
}

function startExec(upgrade: Upgrade): void {
  const { context, request, pod } = upgrade
  const wanted = execRequestOf(request.query)
  if (wanted.command.length === 0) throw badRequest('you must specify at least one command for the container')
  const container = chooseContainer(pod, wanted.container)
  const { namespace = '', name } = pod.metadata
  const hooks = context.hooks()
  const { command, tty } = wanted
  const execute = ({ stdin, stdout, stderr, onResize, signal }: ExecStreams) =>
    hooks.podExec(namespace, name, container, { command, tty, stdin, stdout, stderr, onResize, signal })
  const run = (streams: ExecStreams) => runExec(streams, execute)
  if (!isWebSocket(upgrade.incoming)) {
    void serveSpdyExec(upgradeToSpdy(upgrade, execSpdyProtocols), wanted, run)
    return
  }
  withWebSocket(upgrade, execProtocols, (webSocket) => void serveWebSocketExec(webSocket, wanted, run))
}

function podOf(context: HandlerContext, path: ResourcePath | undefined): StoredObject {
  if (path?.group !== '' || path.plural !== 'pods' || path.name === undefined) {
    throw badRequest('protocols can be changed for subresources of pods only')
  }
  const pod = context.core.store.get<StoredObject>(resources.pods, path.name, path.namespace)
  if (!pod) throw notFound(resources.pods, path.name)
  return pod
}

/** Answers a request to change protocols: `exec` and `portforward` of pods, over SPDY/3.1 or WebSockets. */
export function answerUpgrade(
  context: HandlerContext,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  identify: () => User,
): void {
  socket.on('error', () => socket.destroy())
  try {
    const { path: text, query } = splitUrl(incoming.url)
    const path = parseResourcePath(text)
    const headers = headersOf(incoming)
    const request: ApiRequest = {
      method: incoming.method ?? 'GET',
      path: text,
      query,
      headers,
      body: new Uint8Array(),
      user: impersonate(identify(), headers, context.authorizer),
      signal: new AbortController().signal,
    }
    const attributes = path && resourceAttributes(request, path)
    if (attributes && !context.authorizer.authorize(attributes).allowed) throw denied(attributes)
    const pod = podOf(context, path)
    const upgrade: Upgrade = { context, incoming, socket, head, request, path: path as ResourcePath, pod }
    if (path?.subresource === 'portforward') startPortForward(upgrade)
    else if (path?.subresource === 'exec') startExec(upgrade)
    else throw badRequest(`${path?.subresource ?? 'this path'} does not change protocols here`)
  } catch (error) {
    refuse(socket, error)
  }
}
