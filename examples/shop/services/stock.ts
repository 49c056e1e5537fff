import { createServer, type Socket } from 'node:net'
import { listen, serveHttp } from './http-service.ts'
import { marker, pause, type RunningService, type ServiceOptions } from './service.ts'

/** A longer line closes the connection. */
const maxLineBytes = 1_024

/**
 * Counts what is on the shelves, over a line protocol in which the server speaks first:
 *
 * ```
 * S: 220 stock ready
 * C: RESERVE tea SHOP-PLAINTEXT-MARKER
 * S: 250 tea 99 SHOP-PLAINTEXT-MARKER
 * C: QUIT
 * S: 221 bye
 * ```
 *
 * Readiness is served over HTTP/1.1 on a port of its own.
 */
export async function startStock(options: ServiceOptions & { healthPort: number }): Promise<RunningService> {
  const health = await serveHttp({ port: options.healthPort, lingerMs: options.lingerMs }, {})
  const sockets = new Set<Socket>()
  const reserved = new Map<string, number>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A client that vanishes is its own business.
    socket.on('error', () => socket.destroy())
    serveLines(socket, reserved)
  })
  const port = await listen(server, options.port)
  return {
    port,
    async stop() {
      await Promise.all([health.stop(), pause(options.lingerMs)])
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.end('421 closing\r\n')
      })
    },
  }
}

function serveLines(socket: Socket, reserved: Map<string, number>): void {
  socket.write('220 stock ready\r\n')
  let rest = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) reply(socket, line.trimEnd(), reserved)
    if (rest.length > maxLineBytes) socket.end('500 line too long\r\n')
  })
}

function reply(socket: Socket, line: string, reserved: Map<string, number>): void {
  if (!socket.writable) return
  const [command = '', sku] = line.split(' ')
  switch (command.toUpperCase()) {
    case 'RESERVE': {
      if (sku === undefined || sku === '') return void socket.write('501 RESERVE needs a SKU\r\n')
      // Shelves are refilled at one hundred; SKUs come from the catalog, so the map stays small.
      const count = ((reserved.get(sku) ?? 0) + 1) % 100
      if (reserved.size < 100 || reserved.has(sku)) reserved.set(sku, count)
      return void socket.write(`250 ${sku} ${100 - count} ${marker}\r\n`)
    }
    case 'QUIT':
      return void socket.end('221 bye\r\n')
    default:
      return void socket.write('500 unknown command\r\n')
  }
}
