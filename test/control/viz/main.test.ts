import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startController } from '../../../src/runtime/control/start.ts'
import * as metricsApi from '../../../src/runtime/control/viz/main.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { createLogger } from '../../../src/runtime/shared/logger.ts'
import type { StatAnswer, TargetsAnswer } from '../../../src/runtime/shared/viz-api.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { podObject, traffic } from './fixtures.ts'

const test = suite('control/viz/main')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = Date.now() + 15_000
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (Date.now() > deadlineMs) throw new Error('the condition did not come true in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A pod whose proxy is a server of this test. */
function podAt(name: string, port: number) {
  const pod = podObject(name)
  pod.spec = {
    ...pod.spec,
    initContainers: [{ name: 'linkerd-proxy', ports: [{ name: 'linkerd-admin', containerPort: port }] }],
  }
  pod.status = { phase: 'Running', podIP: '127.0.0.1' }
  return pod
}

async function ask<T>(port: number, path: string): Promise<T> {
  return (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as T
}

test('follows pods as they come and go, and ends when told to', async () => {
  let served = 0
  const proxy = createServer((_, response) => {
    served += 60
    response.end(traffic('direction="inbound"', { success: served }))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const kube = new FakeKube()
  kube.put(
    resources.pods,
    podAt('web-1', (proxy.address() as AddressInfo).port),
    podObject('idle', { meshed: false }),
  )
  const stopping = new AbortController()
  const port = await freePort()
  const ended = startController(
    [
      'metrics-api',
      `--listen-addr=127.0.0.1:${port}`,
      '--scrape-interval=1s',
      '--admin-addr=127.0.0.1:0',
      '--log-level=silent',
    ],
    {
      components: { 'metrics-api': { adminAddr: '', load: async () => metricsApi } },
      env: () => undefined,
      signal: stopping.signal,
      print: () => undefined,
      connectKube: () => kube,
      logger: createLogger('test', 'silent'),
    },
  )
  const stat = await until(async () => {
    const answer = await ask<StatAnswer>(port, '/api/v1/stat?kind=deployment')
    return answer.rows[0]?.rps == null ? undefined : answer
  })
  assert.equal(stat.rows[0]?.pods, { meshed: 1, total: 2 })
  assert.is(stat.rows[0]?.successRate, 1)
  await kube.remove(resources.pods, 'web-1', 'shop')
  const targets = await until(async () => {
    const answer = await ask<TargetsAnswer>(port, '/api/v1/targets')
    return answer.targets.length === 0 ? answer : undefined
  })
  assert.equal(targets.targets, [])
  stopping.abort(new Error('enough'))
  assert.is(await ended, 0)
  proxy.closeAllConnections()
  await new Promise((resolve) => proxy.close(resolve))
})

test('refuses flags that make no sense', async () => {
  for (const flag of ['--scrape-interval=0s', '--scrape-interval=2m', '--max-series=0', '--listen-addr=x']) {
    const code = await startController(
      ['metrics-api', '--admin-addr=127.0.0.1:0', '--log-level=silent', flag],
      {
        components: { 'metrics-api': { adminAddr: '', load: async () => metricsApi } },
        env: () => undefined,
        signal: new AbortController().signal,
        print: () => undefined,
        connectKube: () => new FakeKube(),
        logger: createLogger('test', 'silent'),
      },
    )
    assert.is(code, 2, flag)
  }
})

test.run()
