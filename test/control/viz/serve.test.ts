import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { defaultHistoryLimits } from '../../../src/runtime/control/viz/history.ts'
import { readVizPod } from '../../../src/runtime/control/viz/pod.ts'
import { fetchMetrics, scrapeAll } from '../../../src/runtime/control/viz/scrape.ts'
import { createVizServer } from '../../../src/runtime/control/viz/serve.ts'
import { VizState } from '../../../src/runtime/control/viz/state.ts'
import { systemClock } from '../../../src/runtime/shared/clock.ts'
import {
  encodeEdgesQuery,
  encodeStatQuery,
  type StatAnswer,
  type TargetsAnswer,
  type VizErrorAnswer,
} from '../../../src/runtime/shared/viz-api.ts'
import { podObject, tcp, traffic } from './fixtures.ts'

const test = suite('control/viz/serve')

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function withServer(server: Server, use: (port: number) => Promise<void>): Promise<void> {
  const port = await listening(server)
  try {
    await use(port)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

function stateWith(port: number, maxSeries = 1_000): VizState {
  const state = new VizState({ history: defaultHistoryLimits, maxSeries })
  for (const name of ['web-1', 'web-2']) {
    state.setPod({ ...readVizPod(podObject(name)), metricsAddress: { host: '127.0.0.1', port } })
  }
  return state
}

async function scrape(state: VizState, timeoutMs = 5_000): Promise<void> {
  const signal = new AbortController().signal
  await scrapeAll({ state, clock: systemClock, fetch: fetchMetrics, signal }, timeoutMs)
}

function errorsOf(state: VizState): (string | undefined)[] {
  return [...state.targets()].map(({ error }) => error)
}

test('answers with what was scraped over HTTP', async () => {
  let requests = 0
  const proxy = createServer((_, response) => {
    requests += 1
    const startedS = Date.now() / 1_000 - 30
    response.end(
      `process_start_time_seconds ${startedS}\n${traffic('direction="inbound"', { success: 300 })}${tcp('direction="inbound"', { open: 2 })}`,
    )
  })
  await withServer(proxy, async (proxyPort) => {
    const state = stateWith(proxyPort)
    await scrape(state)
    assert.is(requests, 2)
    const api = createVizServer({ targets: () => state.targets(), clock: systemClock })
    await withServer(api, async (port) => {
      const stat = encodeStatQuery({ target: { kind: 'deployment', name: 'web' }, windowMs: 60_000 })
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/stat?${stat}`)
      const { rows } = (await response.json()) as StatAnswer
      assert.is(rows.length, 1)
      assert.is(rows[0]?.successRate, 1)
      assert.ok(Math.abs((rows[0]?.rps ?? 0) - 20) < 1, `${rows[0]?.rps} rps`)
      assert.is(rows[0]?.tcp?.openConnections, 4)
      const edges = await fetch(`http://127.0.0.1:${port}/api/v1/edges?${encodeEdgesQuery({ kind: 'pod' })}`)
      assert.equal(await edges.json(), { edges: [] })
      const targets = (await (await fetch(`http://127.0.0.1:${port}/api/v1/targets`)).json()) as TargetsAnswer
      assert.equal(
        targets.targets.map(({ pod, error }) => [pod, error]),
        [
          ['web-1', null],
          ['web-2', null],
        ],
      )
    })
  })
})

test('refuses what it does not understand, and says what it would', async () => {
  const api = createVizServer({ targets: () => [], clock: systemClock })
  await withServer(api, async (port) => {
    const ask = async (path: string, method = 'GET') => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
      const { error } = (await response.json()) as VizErrorAnswer
      return `${response.status} ${error.code} ${error.message}`
    }
    assert.match(await ask('/api/v1/stat'), /^400 MESH_VIZ_REQUEST the parameter kind is missing/)
    assert.match(await ask('/api/v1/stat?kind=deploy'), /^400 .* kind must be one of deployment/)
    assert.match(await ask('/api/v1/stat?kind=pod&window_ms=1'), /^400 .* from 15000 to 3600000/)
    assert.match(await ask('/api/v1/stat?kind=pod&selector=a%20b'), /^400 .*cannot be read/)
    assert.match(await ask('/api/v1/stat?kind=pod&to_kind=pod&from_kind=pod'), /^400 .*exclude/)
    assert.match(await ask('/api/v1/stat?kind=pod&from_kind=service'), /^400 .*service/)
    assert.match(await ask('/api/v1/edges?kind=service'), /^400 .*service/)
    assert.match(await ask('/nothing'), /^404 /)
    assert.match(await ask('/api/v1/stat?kind=pod', 'POST'), /^405 /)
  })
})

test('a proxy that fails or hangs is noted and does not stop the others', async () => {
  let requests = 0
  const proxy = createServer((_, response) => {
    requests += 1
    // The first is never answered.
    if (requests > 1) response.writeHead(503).end()
  })
  await withServer(proxy, async (port) => {
    const state = stateWith(port)
    await scrape(state, 300)
    assert.is(errorsOf(state).filter((error) => error === 'status 503').length, 1)
    assert.is(errorsOf(state).filter((error) => /abort|timeout/i.test(error ?? '')).length, 1)
  })
})

test('a full store refuses new proxies, and gives up those that are gone for them', async () => {
  const proxy = createServer((_, response) => response.end(tcp('direction="inbound"', { open: 1 })))
  await withServer(proxy, async (port) => {
    const state = stateWith(port, 3)
    await scrape(state)
    assert.is(errorsOf(state).filter((error) => error === 'the limit of 3 series is reached').length, 1)
    const known = [...state.targets()].find(({ error }) => error === undefined)
    state.removePod(known?.pod.uid ?? '')
    await scrape(state)
    assert.equal(errorsOf(state), [undefined])
    assert.is(state.seriesCount, 3)
  })
})

test.run()
