import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { createCertificates } from './certificates.ts'
import {
  backendPort,
  type Contender,
  clearRedirect,
  meshContender,
  otherCpu,
  type Running,
  standardContenders,
} from './contenders.ts'
import { binaryMib, latencyAt, median, memoryOf, saturate } from './measure.ts'
import { createHosts, type Host, hosts, type Started, start, stop, untilServing } from './sandbox.ts'

/**
 * `npm run bench -- proxy`: each proxy as a pair with mutual TLS between and as a single hop, in turn, the same load,
 * pinned to one core. Rounds alternate, medians are reported, and so are the ratios to ours.
 */

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    /** Another proxy that speaks the public proxy API: NAME=PATH. */
    proxy: { type: 'string', multiple: true, default: [] },
    output: { type: 'string' },
  },
})

const rounds = options.quick ? 1 : 5
const durationS = options.quick ? 2 : 6
const bodyBytes = 1024

interface Row {
  name: string
  idlePssKib: number[]
  idlePrivateDirtyKib: number[]
  loadPssKib: number[]
  c1CpuUs: number[]
  c32CpuUs: number[]
  c32PerS: number[]
  p50Us: number[]
  p99Us: number[]
  p999Us: number[]
  singleCpuUs: number[]
  singlePerS: number[]
}

function emptyRow(name: string): Row {
  return {
    name,
    idlePssKib: [],
    idlePrivateDirtyKib: [],
    loadPssKib: [],
    c1CpuUs: [],
    c32CpuUs: [],
    c32PerS: [],
    p50Us: [],
    p99Us: [],
    p999Us: [],
    singleCpuUs: [],
    singlePerS: [],
  }
}

async function stopAll(running: Running): Promise<void> {
  await Promise.all(running.proxies.map(stop))
  clearRedirect()
}

async function measurePair(contender: Contender, row: Row, folder: string): Promise<void> {
  const running = contender.pair(folder)
  try {
    await untilServing('client', running.url, running.proxies)
    const idle = memoryOf(running.proxies)
    row.idlePssKib.push(idle.pssKib)
    row.idlePrivateDirtyKib.push(idle.privateDirtyKib)
    await saturate(running.url, running.proxies, 32, 1)
    row.c1CpuUs.push((await saturate(running.url, running.proxies, 1, durationS / 2)).cpuUsPerRequest)
    const full = await saturate(running.url, running.proxies, 32, durationS)
    row.c32CpuUs.push(full.cpuUsPerRequest)
    row.c32PerS.push(full.requestsPerS)
    row.loadPssKib.push(memoryOf(running.proxies).pssKib)
    const latency = await latencyAt(running.url, 1000, durationS, folder)
    row.p50Us.push(latency.p50Us)
    row.p99Us.push(latency.p99Us)
    row.p999Us.push(latency.p999Us)
  } finally {
    await stopAll(running)
  }
}

async function measureSingle(contender: Contender, row: Row, folder: string): Promise<void> {
  if (contender.single === undefined) return
  const running = contender.single(folder)
  try {
    await untilServing('client', running.url, running.proxies)
    await saturate(running.url, running.proxies, 32, 1)
    const full = await saturate(running.url, running.proxies, 32, durationS)
    row.singleCpuUs.push(full.cpuUsPerRequest)
    row.singlePerS.push(full.requestsPerS)
  } finally {
    await stopAll(running)
  }
}

/** Without any proxy: what the generator and the network take by themselves. */
async function measureDirect(row: Row, folder: string): Promise<void> {
  const url = `http://${hosts.server.ip}:${backendPort}/`
  row.c32PerS.push((await saturate(url, [], 32, durationS)).requestsPerS)
  const latency = await latencyAt(url, 1000, durationS, folder)
  row.p50Us.push(latency.p50Us)
  row.p99Us.push(latency.p99Us)
  row.p999Us.push(latency.p999Us)
}

function startBackend(folder: string): Started {
  const body = 'x'.repeat(bodyBytes)
  const config = path.join(folder, 'backend.conf')
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${folder}/backend.pid; error_log stderr error;
events { worker_connections 10000; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${folder}/b1; proxy_temp_path ${folder}/b2; fastcgi_temp_path ${folder}/b3; uwsgi_temp_path ${folder}/b4; scgi_temp_path ${folder}/b5;
  server { listen ${backendPort}; location / { return 200 "${body}"; } } }`,
  )
  return start('backend', 'server', otherCpu, ['nginx', '-e', 'stderr', '-c', config])
}

function startControlPlanes(folder: string): Started[] {
  return (Object.keys(hosts) as Host[]).map((host) =>
    start(`control plane ${host}`, host, otherCpu, [
      ...[process.execPath, '--import', 'tsx', path.resolve('bench/proxy/control-plane.ts')],
      ...['--folder', folder, '--target', `${hosts.server.ip}:${backendPort}`],
    ]),
  )
}

function table(rows: Row[], contenders: Contender[]): string {
  const columns: [string, (row: Row) => number][] = [
    ['pair c=1 CPU µs/req', (row) => median(row.c1CpuUs)],
    ['pair c=32 CPU µs/req', (row) => median(row.c32CpuUs)],
    ['pair c=32 req/s', (row) => median(row.c32PerS)],
    ['1k/s p50 µs', (row) => median(row.p50Us)],
    ['p99 µs', (row) => median(row.p99Us)],
    ['p99.9 µs', (row) => median(row.p999Us)],
    ['single CPU µs/req', (row) => median(row.singleCpuUs)],
    ['single req/s', (row) => median(row.singlePerS)],
    ['idle PSS MiB', (row) => median(row.idlePssKib) / 1024],
    ['idle private dirty MiB', (row) => median(row.idlePrivateDirtyKib) / 1024],
    ['loaded PSS MiB', (row) => median(row.loadPssKib) / 1024],
    ['binary MiB', (row) => binaryOf(row, contenders)],
  ]
  const number = (value: number) =>
    Number.isNaN(value) ? '–' : value >= 100 ? value.toFixed(0) : value.toFixed(1)
  const lines = rows.map(
    (row) => `| ${[row.name, ...columns.map(([, pick]) => number(pick(row)))].join(' | ')} |`,
  )
  const head = `| proxy | ${columns.map(([title]) => title).join(' | ')} |\n|${' --- |'.repeat(columns.length + 1)}`
  return [head, ...lines].join('\n')
}

function binaryOf(row: Row, contenders: Contender[]): number {
  const contender = contenders.find(({ name }) => name === row.name)
  return contender === undefined ? Number.NaN : binaryMib(contender.binary)
}

async function main(): Promise<void> {
  const others = options.proxy.map((pair) => {
    const [name, binary] = pair.split('=')
    if (name === undefined || binary === undefined) throw new Error(`--proxy wants NAME=PATH, not '${pair}'`)
    return meshContender(name, path.resolve(binary))
  })
  const wanted = options.only?.split(',')
  const contenders = [...standardContenders, ...others].filter(
    ({ name }) => wanted === undefined || wanted.some((part) => name.startsWith(part)),
  )
  const folder = mkdtempSync(path.join(tmpdir(), 'mesh-bench-'))
  chmodSync(folder, 0o755)
  try {
    createHosts()
    createCertificates(folder)
    const backend = startBackend(folder)
    const controlPlanes = startControlPlanes(folder)
    await untilServing('server', `http://127.0.0.1:${backendPort}/`, [backend])
    for (const host of Object.keys(hosts) as Host[])
      await untilServing(host, 'http://127.0.0.1:8099/ready', controlPlanes)
    const rows = contenders.map(({ name }) => emptyRow(name))
    const direct = emptyRow('none (direct)')
    for (let round = 0; round < rounds; round += 1) {
      await measureDirect(direct, folder)
      // A-B-B-A: what drifts over time falls on both ends alike.
      const order = contenders.map((_, index) => index)
      if (round % 2 === 1) order.reverse()
      for (const index of order) {
        const [contender, row] = [contenders[index], rows[index]]
        if (contender === undefined || row === undefined) continue
        console.error(`round ${round + 1}/${rounds}: ${contender.name}`)
        await measurePair(contender, row, folder)
        await measureSingle(contender, row, folder)
      }
    }
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}; ${rounds} rounds of ${durationS} s, medians; body ${bodyBytes} bytes`
    const text = `${machine}\n\n${table([direct, ...rows], contenders)}\n`
    console.log(text)
    if (options.output !== undefined) writeFileSync(options.output, text)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exit(0)
}

await main()
