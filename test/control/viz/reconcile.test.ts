import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { computeEdges, computeStat } from '../../../src/runtime/control/viz/reconcile.ts'
import type { StatQuery } from '../../../src/runtime/shared/viz-api.ts'
import { podObject, scraped, tcp, traffic } from './fixtures.ts'

const test = suite('control/viz/reconcile')

const nowMs = 100_000
const windowMs = 60_000
const toPayments =
  'direction="outbound",dst_namespace="shop",dst_deployment="payments",dst_service="payments"'

function query(overrides: Partial<StatQuery> = {}): StatQuery {
  return { target: { kind: 'deployment', namespace: 'shop' }, windowMs, ...overrides }
}

test('sums the pods of a deployment, inbound only', () => {
  const inbound = 'direction="inbound",tls="true"'
  const first = scraped(podObject('web-1'), {
    40000: traffic(inbound, { success: 100, buckets: { '100': 0, '+Inf': 0 } }),
    100000: traffic(inbound, { success: 400, failure: 60, buckets: { '100': 360, '+Inf': 360 } }),
  })
  const second = scraped(podObject('web-2'), {
    40000: traffic(inbound, { success: 50 }),
    100000: `${traffic(inbound, { success: 290 })}${traffic(toPayments, { success: 999 })}`,
  })
  const [row, ...others] = computeStat([first, second], query(), nowMs)
  assert.equal(others, [])
  assert.is(row?.name, 'web')
  assert.is(row?.namespace, 'shop')
  assert.equal(row?.pods, { meshed: 2, total: 2 })
  assert.is(row?.rps, 10)
  assert.is(row?.successRate, 0.9)
  assert.equal(row?.latencyMs, { p50: 50, p95: 95, p99: 99 })
})

test('a workload without traffic has a row without numbers; one without a proxy is counted as such', () => {
  const unmeshed = scraped(podObject('web-1', { meshed: false }), {})
  const idle = scraped(podObject('cart-1', { deployment: 'cart' }), {})
  const rows = computeStat([unmeshed, idle], query(), nowMs)
  assert.equal(
    rows.map(({ name, pods, rps, successRate, latencyMs, tcp }) => [
      name,
      pods,
      rps,
      successRate,
      latencyMs,
      tcp,
    ]),
    [
      ['cart', { meshed: 1, total: 1 }, null, null, null, null],
      ['web', { meshed: 0, total: 1 }, null, null, null, null],
    ],
  )
})

test('TCP is shown without any request, and each connection once', () => {
  const both = `${tcp('direction="inbound",peer="src"', { open: 3, read: 6_000, write: 600 })}${tcp(
    'direction="inbound",peer="dst"',
    { open: 3, read: 600, write: 6_000 },
  )}`
  const target = scraped(podObject('stock-1', { deployment: 'stock' }), {
    40000: tcp('direction="inbound",peer="src"', {}),
    100000: both,
  })
  const [row] = computeStat([target], query(), nowMs)
  assert.equal(row?.tcp, { openConnections: 3, readBytesRate: 100, writeBytesRate: 10 })
  assert.is(row?.rps, null)
})

test('what pods that are gone counted is still in the window; their connections are not', () => {
  const inbound = 'direction="inbound",peer="src"'
  const gone = scraped(podObject('web-1'), {
    40000: traffic(inbound, {}) + tcp(inbound, { open: 2 }),
    70000: traffic(inbound, { success: 300 }) + tcp(inbound, { open: 2 }),
  })
  gone.isGone = true
  const here = scraped(podObject('web-2'), {
    70000: traffic(inbound, {}) + tcp(inbound, { open: 1 }),
    100000: traffic(inbound, { success: 300 }) + tcp(inbound, { open: 1 }),
  })
  const [row] = computeStat([gone, here], query(), nowMs)
  assert.is(row?.rps, 10)
  assert.is(row?.tcp?.openConnections, 1)
  assert.equal(row?.pods, { meshed: 1, total: 1 })
  const pods = computeStat([gone, here], query({ target: { kind: 'pod', namespace: 'shop' } }), nowMs)
  assert.equal(
    pods.map(({ name, status }) => [name, status]),
    [['web-2', 'Running']],
  )
})

test('a workload that came a moment ago has its true rate', () => {
  const inbound = 'direction="inbound"'
  const started = 'process_start_time_seconds 90\n'
  const target = scraped(podObject('web-1'), { 100000: started + traffic(inbound, { success: 50 }) })
  assert.is(computeStat([target], query(), nowMs)[0]?.rps, 5)
})

test('--to counts what the target sent to the peer, --from what the peer sent to the target', () => {
  const toCart = 'direction="outbound",dst_namespace="shop",dst_deployment="cart"'
  const web = scraped(podObject('web-1'), {
    40000: traffic(toPayments, {}) + traffic(toCart, {}),
    100000: traffic(toPayments, { success: 480, failure: 120 }) + traffic(toCart, { success: 60 }),
  })
  const payments = scraped(podObject('payments-1', { deployment: 'payments' }), {})
  const all = [web, payments]
  const target = { kind: 'deployment', namespace: 'shop', name: 'web' } as const
  const peer = { kind: 'deployment', namespace: 'shop', name: 'payments' } as const
  const to = computeStat(all, query({ target, to: peer }), nowMs)
  assert.equal(
    to.map(({ name, rps, successRate }) => [name, rps, successRate]),
    [['web', 10, 0.8]],
  )
  const from = computeStat(all, query({ target: peer, from: target }), nowMs)
  assert.equal(
    from.map(({ name, rps, successRate, pods }) => [name, rps, successRate, pods]),
    [['payments', 10, 0.8, { meshed: 1, total: 1 }]],
  )
  const elsewhere = computeStat(all, query({ target, to: { ...peer, namespace: 'other' } }), nowMs)
  assert.is(elsewhere[0]?.rps, null)
})

test('--from shows only what was reached', () => {
  const web = scraped(podObject('web-1'), {
    40000: traffic(toPayments, {}),
    100000: traffic(toPayments, { success: 60 }),
  })
  const payments = scraped(podObject('payments-1', { deployment: 'payments' }), {})
  const cart = scraped(podObject('cart-1', { deployment: 'cart' }), {})
  const target = { kind: 'deployment', namespace: 'shop' } as const
  const rows = computeStat([web, payments, cart], query({ target, from: { ...target, name: 'web' } }), nowMs)
  assert.equal(
    rows.map(({ name }) => name),
    ['payments'],
  )
})

test('probes are no traffic', () => {
  const probe = 'direction="inbound",route_kind="default",route_name="probe"'
  const web = scraped(podObject('web-1'), {
    40000: traffic(probe, {}),
    100000: traffic(probe, { failure: 600, buckets: { '1': 600, '+Inf': 600 } }),
  })
  const [row] = computeStat([web], query(), nowMs)
  assert.equal([row?.rps, row?.successRate, row?.latencyMs], [null, null, null])
})

test('a service is what clients saw of it', () => {
  const web = scraped(podObject('web-1'), {
    40000: traffic(toPayments, {}),
    100000: traffic(toPayments, { success: 45, failure: 15 }),
  })
  const rows = computeStat([web], query({ target: { kind: 'service', namespace: 'shop' } }), nowMs)
  assert.equal(
    rows.map(({ name, pods, rps, successRate }) => [name, pods, rps, successRate]),
    [['payments', null, 1, 0.75]],
  )
})

test('namespaces, label selectors, and names narrow the rows', () => {
  const web = scraped(podObject('web-1', { labels: { app: 'web' } }), {})
  const cart = scraped(podObject('cart-1', { deployment: 'cart', labels: { app: 'cart' } }), {})
  const other = scraped(podObject('web-1', { namespace: 'other' }), {})
  const all = [web, cart, other]
  const names = (overrides: Partial<StatQuery>) =>
    computeStat(all, query(overrides), nowMs).map(({ namespace, name }) => `${namespace}/${name}`)
  assert.equal(names({ target: { kind: 'deployment' } }), ['other/web', 'shop/cart', 'shop/web'])
  assert.equal(names({ selector: 'app in (cart, x)' }), ['shop/cart'])
  assert.equal(names({ selector: '!app', target: { kind: 'deployment' } }), ['other/web'])
  assert.equal(names({ target: { kind: 'deployment', namespace: 'shop', name: 'web' } }), ['shop/web'])
  assert.equal(names({ target: { kind: 'namespace' } }), ['null/other', 'null/shop'])
  assert.throws(() => names({ selector: 'a b' }), /cannot be read: "a b"/)
})

const webId = 'web.shop.serviceaccount.identity.linkerd.cluster.local'
const paymentsId = 'payments.shop.serviceaccount.identity.linkerd.cluster.local'

test('an edge names both identities as each side verified the other', () => {
  const secured = `${toPayments},peer="dst",tls="true",server_id="${paymentsId}"`
  const web = scraped(podObject('web-1'), { 100000: tcp(secured, { open: 1 }) })
  const payments = scraped(podObject('payments-1', { deployment: 'payments' }), {
    100000: tcp(`direction="inbound",peer="src",tls="true",client_id="${webId}"`, { open: 1 }),
  })
  assert.equal(computeEdges([web, payments], { kind: 'deployment' }, nowMs), [
    {
      src: 'web',
      srcNamespace: 'shop',
      dst: 'payments',
      dstNamespace: 'shop',
      clientId: webId,
      serverId: paymentsId,
      noTlsReason: null,
    },
  ])
  assert.is(computeEdges([web], { kind: 'deployment' }, nowMs)[0]?.clientId, null, 'not seen by the server')
})

test('an edge that is not secured says why; one that is idle is none', () => {
  const reason = 'not_provided_by_service_discovery'
  const plain = `${toPayments},peer="dst",tls="no_identity",no_tls_reason="${reason}"`
  const web = scraped(podObject('web-1'), { 100000: tcp(plain, { open: 1 }) })
  const [edge] = computeEdges([web], { kind: 'deployment', namespace: 'shop' }, nowMs)
  assert.is(edge?.noTlsReason, reason)
  assert.is(edge?.serverId, null)
  assert.equal(computeEdges([web], { kind: 'deployment', namespace: 'other' }, nowMs), [])
  const idle = scraped(podObject('web-1'), { 100000: tcp(plain, { open: 0, read: 5 }) })
  assert.equal(computeEdges([idle], { kind: 'deployment' }, nowMs), [])
})

test.run()
