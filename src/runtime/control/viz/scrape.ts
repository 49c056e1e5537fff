import { get, type IncomingMessage } from 'node:http'
import type { Clock } from '../../shared/clock.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Target, VizState } from './state.ts'

/** Fetches the metrics of one proxy as text. Rejects when there is no good answer in time. */
export type FetchMetrics = (address: { host: string; port: number }, signal: AbortSignal) => Promise<string>

/** A longer answer is not read to its end. */
const maxBytes = 16 * 1024 * 1024
/** How many proxies are asked at once. */
const maxConcurrent = 16

/**
 * Fetches `/metrics` over HTTP/1.1, on a connection of its own.
 * @throws {Error} for any status but 200, an answer over 16 MiB, or when the signal aborts
 */
export const fetchMetrics: FetchMetrics = ({ host, port }, signal) =>
  new Promise((resolve, reject) => {
    const headers = { accept: 'text/plain', connection: 'close' }
    const request = get({ host, port, path: '/metrics', headers, agent: false, signal }, (response) => {
      readText(response).then(resolve, reject)
    })
    request.on('error', reject)
  })

async function readText(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) {
    response.resume()
    throw new Error(`status ${response.statusCode}`)
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export interface ScrapeDeps {
  state: VizState
  clock: Clock
  fetch: FetchMetrics
  /** Ends the loop. */
  signal: AbortSignal
}

/** Scrapes all proxies each interval, until the signal aborts. A proxy that fails is asked again the next time. */
export async function scrapeForever(deps: ScrapeDeps, intervalMs: number): Promise<void> {
  const { clock, signal } = deps
  while (!signal.aborted) {
    const startedMs = clock.nowMs()
    await scrapeAll(deps, Math.min(intervalMs, 5_000))
    deps.state.forget(clock.nowMs())
    try {
      await clock.sleep(Math.max(0, startedMs + intervalMs - clock.nowMs()), signal)
    } catch {
      return
    }
  }
}

/** Scrapes every proxy once. */
export async function scrapeAll(deps: ScrapeDeps, timeoutMs: number): Promise<void> {
  const waiting = [...deps.state.targets()].filter(
    ({ pod, isGone }) => !isGone && pod.metricsAddress !== undefined,
  )
  const worker = async () => {
    for (let target = waiting.pop(); target !== undefined; target = waiting.pop()) {
      await scrapeOne(deps, target, timeoutMs)
    }
  }
  await Promise.all(Array.from({ length: maxConcurrent }, worker))
}

async function scrapeOne(deps: ScrapeDeps, { pod }: Target, timeoutMs: number): Promise<void> {
  if (pod.metricsAddress === undefined) return
  try {
    const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(timeoutMs)])
    const text = await deps.fetch(pod.metricsAddress, signal)
    deps.state.record(pod.uid, deps.clock.nowMs(), text)
  } catch (error) {
    deps.state.recordFailure(pod.uid, messageOf(error))
  }
}
