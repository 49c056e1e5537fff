import { createHttpClient, type HttpClient } from './http-client.ts'
import { serveHttp } from './http-service.ts'
import { marker, type RunningService, type ServiceOptions } from './service.ts'

/** What the load generator counted since its start. `sent` is the sum of the four results and `inFlight`. */
export interface LoadStats {
  sent: number
  inFlight: number
  /** Answered with 200. */
  succeeded: number
  /** Failed by the fault that the shop plants itself. */
  planted: number
  /** Answered with any other status. */
  failed: number
  /** Not answered: connection refused or reset, time-out. */
  lost: number
  /** Due, but not sent because too many were in flight. */
  skipped: number
  /** The last failures that were not planted, oldest first. */
  failures: { atMs: number; reason: string }[]
}

/** How load is made. */
export interface LoadOptions extends ServiceOptions {
  /** Base URL of the front. */
  target: string
  /** Requests a second, sent whether or not earlier ones were answered (open loop). */
  rps: number
  /** Requests that may be under way at once; those due beyond it are counted as skipped. */
  maxInFlight: number
}

const skus = ['tea', 'cup', 'pot', 'kettle']
const maxFailuresKept = 50
const tickMs = 10

/** Buys at a fixed rate, two checkouts to one look round, and tells of it at `GET /stats` ({@link LoadStats}). */
export async function startLoad(options: LoadOptions): Promise<RunningService> {
  const generator = createGenerator(options)
  const service = await serveHttp(options, {
    'GET /stats': () => ({ status: 200, body: generator.stats }),
  })
  return {
    port: service.port,
    async stop() {
      await generator.stop()
      await service.stop()
    },
  }
}

function createGenerator(options: LoadOptions): { stats: LoadStats; stop(): Promise<void> } {
  const client = createHttpClient(options.target)
  const stats = emptyStats()
  const pending = new Set<Promise<void>>()
  const startedMs = performance.now()
  let due = 0
  const timer = setInterval(() => {
    const target = Math.floor(((performance.now() - startedMs) / 1_000) * options.rps)
    for (; due < target; due += 1) {
      if (pending.size >= options.maxInFlight) {
        stats.skipped += 1
        continue
      }
      const request = send(client, due, stats).finally(() => pending.delete(request))
      pending.add(request)
    }
  }, tickMs)
  return {
    stats,
    async stop() {
      clearInterval(timer)
      await Promise.all(pending)
      client.close()
    },
  }
}

function emptyStats(): LoadStats {
  return { sent: 0, inFlight: 0, succeeded: 0, planted: 0, failed: 0, lost: 0, skipped: 0, failures: [] }
}

/** Sends the request of that number and counts how it ended; never rejects. */
async function send(client: HttpClient, number: number, stats: LoadStats): Promise<void> {
  stats.sent += 1
  stats.inFlight += 1
  try {
    const path = number % 3 === 0 ? '/browse' : '/checkout'
    const { status, body } = await client.post(path, { customer: marker, sku: skus[number % skus.length] })
    if (status === 200) stats.succeeded += 1
    else if (body.planted === true) stats.planted += 1
    else {
      stats.failed += 1
      note(stats, `${path}: status ${status} ${typeof body.error === 'string' ? body.error : ''}`.trim())
    }
  } catch (thrown) {
    stats.lost += 1
    note(stats, thrown instanceof Error ? thrown.message : String(thrown))
  } finally {
    stats.inFlight -= 1
  }
}

function note(stats: LoadStats, reason: string): void {
  stats.failures.push({ atMs: Date.now(), reason })
  if (stats.failures.length > maxFailuresKept) stats.failures.shift()
}
