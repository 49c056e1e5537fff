import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAllDocuments } from 'yaml'
import { startCart } from '../../examples/shop/services/cart.ts'
import { startCatalog } from '../../examples/shop/services/catalog.ts'
import { serveHttp } from '../../examples/shop/services/http-service.ts'
import { type LoadStats, startLoad } from '../../examples/shop/services/load.ts'
import { startPayments } from '../../examples/shop/services/payments.ts'
import { marker, type RunningService } from '../../examples/shop/services/service.ts'
import { startStock } from '../../examples/shop/services/stock.ts'
import { reserve } from '../../examples/shop/services/stock-client.ts'
import { startWeb } from '../../examples/shop/services/web.ts'
import { meshVersion } from '../../src/runtime/shared/version.ts'

const test = suite('examples/shop')
const anywhere = { port: 0, lingerMs: 0, healthPort: 0 }
const running: RunningService[] = []

function keep<T extends RunningService>(service: T): T {
  running.push(service)
  return service
}

test.after.each(async () => {
  await Promise.all(running.splice(0).map((service) => service.stop()))
})

async function startShop(): Promise<RunningService> {
  const [catalog, cart, payments, stock] = await Promise.all([
    startCatalog(anywhere),
    startCart(anywhere),
    startPayments(anywhere),
    startStock(anywhere),
  ])
  for (const service of [catalog, cart, payments, stock]) keep(service)
  const upstreams = {
    catalog: `http://127.0.0.1:${catalog.port}`,
    cart: `http://127.0.0.1:${cart.port}`,
    payments: `http://127.0.0.1:${payments.port}`,
    stock: `127.0.0.1:${stock.port}`,
  }
  return keep(await startWeb({ ...anywhere, upstreams }))
}

function post(port: number, path: string, body: unknown): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: text })
}

/** Resolves once the condition holds; rejects after ten seconds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error('the condition did not come true in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('a checkout goes through all services, over HTTP, gRPC and TCP', async () => {
  const web = await startShop()
  const response = await post(web.port, '/checkout', { sku: 'cup' })
  assert.is(response.status, 200)
  assert.equal(await response.json(), { sku: 'cup', left: 99, charged: 1450, note: marker })
  const browsed = (await (await post(web.port, '/browse', {})).json()) as { items: unknown[]; note: string }
  assert.is(browsed.items.length, 4)
  assert.is(browsed.note, marker)
})

test('every fifth charge fails, and is marked as planted all the way', async () => {
  const web = await startShop()
  const statuses: number[] = []
  for (let number = 1; number <= 10; number += 1) {
    const response = await post(web.port, '/checkout', { sku: 'tea' })
    const { planted } = (await response.json()) as { planted?: boolean }
    assert.is(planted === true, response.status === 502)
    statuses.push(response.status)
  }
  assert.equal(statuses, [200, 200, 200, 200, 502, 200, 200, 200, 200, 502])
})

test('a failure that is not planted names the service and is not called planted', async () => {
  const upstreams = {
    catalog: 'http://127.0.0.1:1',
    cart: 'http://127.0.0.1:1',
    payments: 'http://127.0.0.1:1',
    stock: '127.0.0.1:1',
  }
  const web = keep(await startWeb({ ...anywhere, upstreams }))
  const response = await post(web.port, '/checkout', { sku: 'tea' })
  const body = (await response.json()) as { service: string; planted: boolean }
  assert.is(response.status, 502)
  assert.equal([body.service, body.planted], ['catalog', false])
})

test('services refuse what they cannot read', async () => {
  const payments = keep(await startPayments(anywhere))
  assert.is((await post(payments.port, '/charge', '{')).status, 400)
  assert.is((await post(payments.port, '/charge', '[]')).status, 400)
  assert.is((await post(payments.port, '/charge', { customer: 'a', cents: -1 })).status, 400)
  assert.is((await post(payments.port, '/charge', `"${'x'.repeat(70_000)}"`)).status, 413)
  assert.is((await post(payments.port, '/nothing', {})).status, 404)
  assert.is((await fetch(`http://127.0.0.1:${payments.port}/ready`)).status, 200)
})

test('the stock speaks first, and answers lines however they are cut', async () => {
  const stock = keep(await startStock(anywhere))
  const socket = connect(stock.port, '127.0.0.1')
  socket.setEncoding('latin1')
  let text = ''
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  await until(() => text === '220 stock ready\r\n')
  for (const part of ['RESER', 'VE te', 'a x\r\nRESERVE tea x\r\nnonsense\r\nQU', 'IT\r\n']) {
    await new Promise<void>((resolve) => socket.write(part, () => resolve()))
  }
  await until(() => socket.readableEnded)
  assert.equal(text.split('\r\n').slice(1, -1), [
    `250 tea 99 ${marker}`,
    `250 tea 98 ${marker}`,
    '500 unknown command',
    '221 bye',
  ])
})

test('a stock that hangs up early is an error of the client', async () => {
  const server = createServer((socket) => socket.end('220 stock ready\r\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  let message = ''
  await reserve(`127.0.0.1:${port}`, 'tea').catch((error: Error) => {
    message = error.message
  })
  server.close()
  assert.match(message, /closed the connection without an answer|ECONNRESET|EPIPE/)
})

test('the load generator tells planted failures, other failures and lost requests apart', async () => {
  let requests = 0
  const target = keep(
    await serveHttp(anywhere, {
      'POST /browse': () => ({ status: 200, body: {} }),
      'POST /checkout': () => {
        requests += 1
        if (requests === 1) return { status: 502, body: { planted: true } }
        return requests === 2 ? { status: 503, body: { error: 'no' } } : { status: 200, body: {} }
      },
    }),
  )
  const load = keep(
    await startLoad({ ...anywhere, target: `http://127.0.0.1:${target.port}`, rps: 200, maxInFlight: 10 }),
  )
  const stats = async () => (await (await fetch(`http://127.0.0.1:${load.port}/stats`)).json()) as LoadStats
  await until(async () => (await stats()).succeeded >= 20)
  const before = await stats()
  assert.equal([before.planted, before.failed, before.lost, before.skipped], [1, 1, 0, 0])
  assert.match(before.failures[0]?.reason ?? '', /^\/checkout: status 503 no$/)
  await target.stop()
  await until(async () => (await stats()).lost > 0)
  const { sent, inFlight, succeeded, planted, failed, lost } = await stats()
  assert.is(sent, inFlight + succeeded + planted + failed + lost)
})

test('the load generator never has more under way than it may', async () => {
  const pending: (() => void)[] = []
  const hold = () =>
    new Promise<{ status: number; body: object }>((resolve) =>
      pending.push(() => resolve({ status: 200, body: {} })),
    )
  const target = keep(await serveHttp(anywhere, { 'POST /browse': hold, 'POST /checkout': hold }))
  const load = keep(
    await startLoad({ ...anywhere, target: `http://127.0.0.1:${target.port}`, rps: 500, maxInFlight: 3 }),
  )
  const stats = async () => (await (await fetch(`http://127.0.0.1:${load.port}/stats`)).json()) as LoadStats
  await until(async () => (await stats()).skipped >= 20)
  const { inFlight, sent } = await stats()
  assert.equal([inFlight, sent, pending.length], [3, 3, 3])
  await Promise.all([load.stop(), until(() => pending.splice(0).map((answer) => answer()).length === 0)])
  running.splice(running.indexOf(load), 1)
})

test('a service that is told to stop answers what is in flight, and what comes in the linger time', async () => {
  let answerFirst = () => {}
  const arrived = new Promise<void>((resolve) => {
    answerFirst = resolve
  })
  let requests = 0
  const service = await serveHttp(
    { port: 0, lingerMs: 300 },
    {
      'POST /slow': async () => {
        requests += 1
        await arrived
        return { status: 200, body: {} }
      },
    },
  )
  const first = post(service.port, '/slow', {})
  await until(() => requests === 1)
  const stopped = service.stop()
  const second = post(service.port, '/slow', {})
  await until(() => requests === 2)
  answerFirst()
  const [one, two] = await Promise.all([first, second])
  assert.equal([one.status, two.status, two.headers.get('connection')], [200, 200, 'close'])
  await stopped
  let refused = false
  await post(service.port, '/slow', {}).catch(() => {
    refused = true
  })
  assert.ok(refused)
})

test('the manifests name this version, two replicas a service, and no mesh', () => {
  const text = readFileSync(new URL('../../examples/shop/shop.yaml', import.meta.url), 'utf8')
  assert.not.match(text.replace(/^#.*$/gm, ''), /linkerd|inject/)
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Record<string, never>)
  const deployments = objects.filter(({ kind }) => kind === 'Deployment') as unknown as {
    metadata: { name: string; namespace: string }
    spec: { replicas: number; template: { spec: { containers: { image: string }[] } } }
  }[]
  assert.equal(
    deployments.map(({ metadata, spec }) => [metadata.namespace, metadata.name, spec.replicas]),
    [
      ['shop', 'catalog', 2],
      ['shop', 'cart', 2],
      ['shop', 'stock', 2],
      ['shop', 'payments', 2],
      ['shop', 'web', 2],
      ['shop', 'load', 1],
    ],
  )
  for (const { spec } of deployments) {
    assert.is(spec.template.spec.containers[0]?.image, `localhost/mesh/shop:${meshVersion}`)
  }
})

test.run()
