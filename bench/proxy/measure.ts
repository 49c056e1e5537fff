import { readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { otherCpu } from './contenders.ts'
import { cpuUs, memoryKib, run, type Started } from './sandbox.ts'

/** What one round of load costs. */
export interface Load {
  requestsPerS: number
  /** Of all proxies together. */
  cpuUsPerRequest: number
}

/** Keeps connections busy for a time and measures what the proxies spend. */
export async function saturate(
  url: string,
  proxies: Started[],
  connections: number,
  durationS: number,
): Promise<Load> {
  const before = totalCpuUs(proxies)
  const said = await run('client', otherCpu, [
    'wrk',
    '-t',
    '1',
    '-c',
    String(connections),
    '-d',
    `${durationS}s`,
    url,
  ])
  const spentUs = totalCpuUs(proxies) - before
  const requests = Number(said.match(/(\d+) requests in/)?.[1] ?? 0)
  const failed = said.match(/Non-2xx or 3xx responses: (\d+)|Socket errors: .*/)
  if (failed !== null || requests === 0) throw new Error(`wrk: ${said}`)
  return { requestsPerS: requests / durationS, cpuUsPerRequest: spentUs / requests }
}

function totalCpuUs(proxies: Started[]): number {
  return proxies.reduce((sum, proxy) => sum + cpuUs(proxy), 0)
}

/** Latency in microseconds at a fixed rate. */
export interface Latency {
  p50Us: number
  p99Us: number
  p999Us: number
}

/** Open loop: 10 connections, each with its share of the rate, whatever the answers take. */
export async function latencyAt(
  url: string,
  ratePerS: number,
  durationS: number,
  folder: string,
): Promise<Latency> {
  const clients = 10
  const log = path.join(folder, 'h2load.log')
  rmSync(log, { force: true })
  const said = await run('client', otherCpu, [
    ...['h2load', '--h1', '-t', '1', '-c', String(clients), '-m', '1', `--rps=${ratePerS / clients}`],
    ...[`--duration=${durationS}`, '--warm-up-time=1', `--log-file=${log}`, url],
  ])
  // Start time, status, and duration in microseconds, one request a line.
  const sortedUs = readFileSync(log, 'utf8')
    .split('\n')
    .map((line) => line.split('\t'))
    // h2load gives -1 or 0 for a status line without a reason phrase, which a proxy from h2 to h1 may write.
    .filter((fields) => ['200', '-1', '0'].includes(fields[1] ?? ''))
    .map((fields) => Number(fields[2]))
    .sort((one, other) => one - other)
  const expected = ratePerS * durationS
  if (sortedUs.length < expected * 0.9)
    throw new Error(`only ${sortedUs.length} of ${expected} requests were answered 200: ${said}`)
  const quantile = (share: number) =>
    sortedUs[Math.min(sortedUs.length - 1, Math.floor(sortedUs.length * share))] ?? 0
  return { p50Us: quantile(0.5), p99Us: quantile(0.99), p999Us: quantile(0.999) }
}

/** Memory per process of a pair, in KiB. */
export function memoryOf(proxies: Started[]): { pssKib: number; privateDirtyKib: number } {
  const each = proxies.map(memoryKib)
  const mean = (pick: (one: { pssKib: number; privateDirtyKib: number }) => number) =>
    each.reduce((sum, one) => sum + pick(one), 0) / each.length
  return { pssKib: mean((one) => one.pssKib), privateDirtyKib: mean((one) => one.privateDirtyKib) }
}

export function binaryMib(file: string): number {
  return statSync(file).size / 1024 / 1024
}

/** The middle one; of an even number the lower of the two. */
export function median(values: number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}
