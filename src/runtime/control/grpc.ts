import { createServer, type ServerHttp2Session } from 'node:http2'
import { Code, ConnectError, type ConnectRouter, type Interceptor } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { Counter, Histogram, type Registry } from 'prom-client'
import type { Clock } from '../shared/clock.ts'
import type { Logger } from '../shared/logger.ts'
import type { RunningServer } from './admin.ts'
import { latencyBucketsS } from './metrics.ts'
import { type ListenAddress, listen } from './server.ts'

export interface GrpcServerOptions {
  address: ListenAddress
  /** Registers the services: `(router) => router.service(Identity, { certify })`. */
  routes: (router: ConnectRouter) => void
  metrics: Registry
  clock: Clock
  /** Told of handlers that fail in a way that they did not mean to. */
  logger?: Logger
  /** Largest request, in bytes. */
  maxRequestBytes?: number
  /** Streams of one connection at a time. A proxy holds a handful per target. */
  maxStreamsPerConnection?: number
}

/** How often a silent connection is asked whether its peer is still there, and how long for an answer. */
const keepAliveIntervalMs = 20_000
const keepAliveTimeoutMs = 20_000

/** How long calls may go on after clients were told to leave. Streams that never end are cut then. */
const drainMs = 1_000

/**
 * Serves gRPC over HTTP/2 without TLS (the proxy beside the controller does that). On close, clients get GOAWAY and
 * calls have a moment to end; then their connections are closed, and handlers see their context's signal aborted.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningServer> {
  const { clock } = options
  const handler = connectNodeAdapter({
    routes: options.routes,
    grpc: true,
    grpcWeb: false,
    connect: false,
    // Messages are small and the way is short; and what is not inflated cannot blow up.
    acceptCompression: [],
    readMaxBytes: options.maxRequestBytes ?? 1024 * 1024,
    interceptors: [measure(options.metrics, clock, options.logger)],
  })
  const server = createServer(
    { settings: { maxConcurrentStreams: options.maxStreamsPerConnection ?? 10_000 } },
    handler,
  )
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    const ended = new AbortController()
    session.on('close', () => {
      sessions.delete(session)
      ended.abort(new Error('closed'))
    })
    // A peer that breaks the connection is no event for a server.
    session.on('error', () => {})
    void keepAlive(session, clock, ended.signal)
  })
  const address = await listen(server, options.address)
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        const drained = new AbortController()
        server.close(() => {
          drained.abort(new Error('drained'))
          resolve()
        })
        for (const session of sessions) session.close()
        // No signal for all calls: a signal with many listeners takes time in proportion to them for each new one.
        clock.sleep(drainMs, drained.signal).then(
          () => {
            for (const session of sessions) session.destroy()
          },
          () => {},
        )
      }),
  }
}

async function keepAlive(session: ServerHttp2Session, clock: Clock, ended: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(keepAliveIntervalMs, ended)
      const answered = new AbortController()
      session.ping(() => answered.abort(new Error('answered')))
      const either = AbortSignal.any([ended, answered.signal])
      const silent = await clock.sleep(keepAliveTimeoutMs, either).then(
        () => true,
        () => false,
      )
      if (silent) return session.destroy()
    }
  } catch {
    // The session ended.
  }
}

/** The metrics by which gRPC servers are commonly watched. */
function measure(metrics: Registry, clock: Clock, logger: Logger | undefined): Interceptor {
  const labelNames = ['grpc_service', 'grpc_method', 'grpc_type']
  const started = counter(metrics, 'grpc_server_started_total', 'Calls that were started', labelNames)
  const handled = counter(metrics, 'grpc_server_handled_total', 'Calls that ended', [
    ...labelNames,
    'grpc_code',
  ])
  const duration =
    (metrics.getSingleMetric('grpc_server_handling_seconds') as Histogram | undefined) ??
    new Histogram({
      name: 'grpc_server_handling_seconds',
      help: 'Time until a call was answered',
      labelNames,
      buckets: latencyBucketsS,
      registers: [metrics],
    })
  return (next) => async (request) => {
    const call = {
      grpc_service: request.service.typeName,
      grpc_method: request.method.name,
      grpc_type: request.stream ? 'server_stream' : 'unary',
    }
    const startMs = clock.nowMs()
    const end = (code: string) => {
      handled.inc({ ...call, grpc_code: code })
      duration.observe(call, (clock.nowMs() - startMs) / 1000)
    }
    const fail = (error: unknown) => {
      end(codeOf(error))
      // The client is told no more than "internal error"; the cause must not be lost.
      if (!(error instanceof ConnectError)) logger?.error({ ...call, err: error }, 'a handler failed')
    }
    started.inc(call)
    try {
      const response = await next(request)
      if (response.stream) return { ...response, message: watched(response.message, end, fail) }
      end('OK')
      return response
    } catch (error) {
      fail(error)
      throw error
    }
  }
}

/** Passes messages on, and tells how the stream ended. */
async function* watched<T>(
  messages: AsyncIterable<T>,
  end: (code: string) => void,
  fail: (error: unknown) => void,
): AsyncGenerator<T> {
  let isTold = false
  try {
    yield* messages
    isTold = true
    end('OK')
  } catch (error) {
    isTold = true
    fail(error)
    throw error
  } finally {
    if (!isTold) end('Canceled')
  }
}

function codeOf(error: unknown): string {
  return Code[ConnectError.from(error).code]
}

function counter(metrics: Registry, name: string, help: string, labelNames: string[]): Counter {
  const known = metrics.getSingleMetric(name) as Counter | undefined
  return known ?? new Counter({ name, help, labelNames, registers: [metrics] })
}
