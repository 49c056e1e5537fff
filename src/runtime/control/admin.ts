import { createServer, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import type { Readiness } from './readiness.ts'
import { closeServer, type ListenAddress, listen } from './server.ts'

/** A server that runs, and where. */
export interface RunningServer {
  address: { host: string; port: number }
  close(): Promise<void>
}

/**
 * Serves `/ready` (503 with what is missing, else 200), `/live`, `/ping` and `/metrics` (text format of Prometheus).
 */
export async function startAdminServer(
  address: ListenAddress,
  readiness: Readiness,
  metrics: Registry,
): Promise<RunningServer> {
  const server = createServer((request, response) => {
    request.resume()
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'only GET\n')
    switch ((request.url ?? '').replace(/\?.*$/, '')) {
      case '/ready': {
        const missing = readiness.missing()
        return missing.length === 0
          ? answer(response, 200, 'ready\n')
          : answer(response, 503, `not ready\n${missing.map((line) => `${line}\n`).join('')}`)
      }
      case '/live':
        return answer(response, 200, 'live\n')
      case '/ping':
        return answer(response, 200, 'pong\n')
      case '/metrics':
        metrics.metrics().then(
          (text) => answer(response, 200, text, metrics.contentType),
          (error: unknown) => answer(response, 500, `${String(error)}\n`),
        )
        return
      default:
        return answer(response, 404, 'There are /ready, /live, /ping and /metrics.\n')
    }
  })
  server.requestTimeout = 10_000
  const bound = await listen(server, address)
  return { address: bound, close: () => closeServer(server) }
}

function answer(response: ServerResponse, status: number, body: string, contentType = 'text/plain'): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
