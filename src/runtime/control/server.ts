import type { Server as HttpServer } from 'node:http'
import type { Http2SecureServer, Http2Server } from 'node:http2'
import type { Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { MeshError, messageOf } from '../shared/errors.ts'

/** Any server of Node that speaks HTTP. */
export type AnyServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer

/** Where to listen. `host` is absent for all addresses of both families. */
export interface ListenAddress {
  host?: string
  port: number
}

/**
 * Reads `:8080`, `127.0.0.1:8080` or `[::1]:8080`. Port 0 lets the system choose.
 * @throws MeshError `MESH_CONTROLLER_ADDRESS`
 */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new MeshError({
      code: 'MESH_CONTROLLER_ADDRESS',
      kind: 'usage',
      message: `"${text}" is not an address to listen on`,
      next: ['Write host:port or :port, such as 127.0.0.1:8080, [::1]:8080 or :8080.'],
    })
  }
  const host = match[1] ?? match[2] ?? ''
  return host === '' ? { port } : { host, port }
}

/**
 * Starts to listen.
 * @returns the address in use, with the port that the system chose
 * @throws MeshError `MESH_CONTROLLER_LISTEN`
 */
export function listen(server: AnyServer, address: ListenAddress): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      reject(
        new MeshError({
          code: 'MESH_CONTROLLER_LISTEN',
          kind: 'environment',
          message: `Cannot listen on ${address.host ?? ''}:${address.port}`,
          reason: messageOf(error),
          next: ['Is the port in use, or the address not one of this machine?'],
          cause: error,
        }),
      )
    }
    server.once('error', onError)
    server.listen(
      { port: address.port, ...(address.host === undefined ? {} : { host: address.host }) },
      () => {
        server.off('error', onError)
        const bound = server.address() as AddressInfo
        resolve({ host: bound.address, port: bound.port })
      },
    )
  })
}

/** Stops accepting, waits for the exchanges under way, and closes idle connections. */
export function closeServer(server: HttpServer | HttpsServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
}
