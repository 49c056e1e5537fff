import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Listening, ListenTarget } from './types.ts'

export interface TlsOptions {
  /** PEM. */
  certificate: string
  privateKey: string
  /** PEM of the authority of client certificates. */
  clientCa: string
}

/** Answers a request to change protocols. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

function started(server: Server, target: ListenTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(target, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

/** Serves HTTPS with optional client certificates on a new or an inherited socket. */
export async function listenHttps(
  target: ListenTarget,
  tls: TlsOptions,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  onUpgrade: UpgradeHandler,
): Promise<Listening> {
  const server = createServer({
    cert: tls.certificate,
    key: tls.privateKey,
    ca: tls.clientCa,
    requestCert: true,
    // A caller without certificate may have a token, or be anonymous.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    keepAlive: true,
  })
  server.requestTimeout = 0
  server.keepAliveTimeout = 120_000
  const sockets = new Set<Duplex>()
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  // A handshake that fails is the client's affair.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('request', onRequest)
  server.on('upgrade', onUpgrade)
  await started(server, target)
  const { address, port } = server.address() as AddressInfo
  return {
    address,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
