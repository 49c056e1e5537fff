import type { Http2Server, ServerHttp2Session } from 'node:http2'
import { createServer } from 'node:http2'
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { Catalog } from '../gen/catalog_pb.js'
import { listen, serveHttp } from './http-service.ts'
import { pause, type RunningService, type ServiceOptions } from './service.ts'

const items = [
  { sku: 'tea', name: 'Assam tea, 250 g', priceCents: 890 },
  { sku: 'cup', name: 'Stoneware cup', priceCents: 1450 },
  { sku: 'pot', name: 'Iron pot', priceCents: 5900 },
  { sku: 'kettle', name: 'Gooseneck kettle', priceCents: 7200 },
]

/**
 * What is on sale: gRPC over cleartext HTTP/2 (`proto/catalog.proto`), and readiness over HTTP/1.1 on a port of its own.
 */
export async function startCatalog(
  options: ServiceOptions & { healthPort: number },
): Promise<RunningService> {
  const health = await serveHttp({ port: options.healthPort, lingerMs: options.lingerMs }, {})
  const server = createServer(connectNodeAdapter({ routes }))
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  const port = await listen(server, options.port)
  return {
    port,
    async stop() {
      await Promise.all([health.stop(), pause(options.lingerMs)])
      await drain(server, sessions)
    },
  }
}

function routes(router: ConnectRouter): void {
  router.service(Catalog, {
    listItems: ({ customer }) => ({ items, customer }),
    findItem: ({ sku }) => {
      const item = items.find((candidate) => candidate.sku === sku)
      if (item === undefined) throw new ConnectError(`no item ${JSON.stringify(sku)}`, Code.NotFound)
      return item
    },
  })
}

/** `close` of a session sends GOAWAY and waits for its open streams. */
function drain(server: Http2Server, sessions: ReadonlySet<ServerHttp2Session>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const session of sessions) session.close()
  })
}
