import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveQuestion } from '../../../src/runtime/local/dns/records.ts'
import { source } from './names.ts'

const test = suite('local/dns/records')

/** The data of the answers, or the error. */
function ask(name: string, type = 'A'): unknown {
  const { rcode, answers } = resolveQuestion(source, { name, type })
  return rcode === 'NOERROR' ? answers.map(({ data }) => data) : rcode
}

test('gives the ClusterIP of a service, in any case of letters', () => {
  assert.equal(ask('web.shop.svc.cluster.local'), ['10.96.0.7'])
  assert.equal(ask('WEB.Shop.svc.CLUSTER.local'), ['10.96.0.7'])
})

test('tells what does not exist from what exists without this type', () => {
  assert.equal(ask('web.shop.svc.cluster.local', 'AAAA'), [])
  for (const name of ['cluster.local', 'svc.cluster.local', 'shop.svc.cluster.local'])
    assert.equal(ask(name), [])
  const missing = ['none.shop.svc', 'web.none.svc', 'a.web.shop.svc', 'x.y.web.shop.svc', 'other']
  for (const name of missing) assert.is(ask(`${name}.cluster.local`), 'NXDOMAIN', name)
})

test('gives the ready endpoints of a headless service, and each by its name', () => {
  assert.equal(ask('each.shop.svc.cluster.local'), ['10.244.0.2', '10.244.0.3'])
  assert.equal(ask('first.each.shop.svc.cluster.local'), ['10.244.0.2'])
  assert.equal(ask('10-244-0-3.each.shop.svc.cluster.local'), ['10.244.0.3'])
  assert.is(ask('10-244-0-4.each.shop.svc.cluster.local'), 'NXDOMAIN')
  assert.is(ask('empty.shop.svc.cluster.local'), 'NXDOMAIN')
})

test('gives ports by SRV, with the addresses beside', () => {
  const target = 'web.shop.svc.cluster.local'
  assert.equal(ask(`_http._tcp.${target}`, 'SRV'), [{ priority: 0, weight: 100, port: 80, target }])
  assert.is(ask(`_http._udp.${target}`, 'SRV'), 'NXDOMAIN')
  assert.equal(ask(`_http._tcp.${target}`), [])
  const { answers, additionals } = resolveQuestion(source, {
    name: '_db._tcp.each.shop.svc.cluster.local',
    type: 'SRV',
  })
  assert.equal(
    answers.map(({ data }) => (typeof data === 'string' ? data : data.target.split('.', 1)[0])),
    ['first', '10-244-0-3'],
  )
  assert.equal(
    additionals.map(({ data }) => data),
    ['10.244.0.2', '10.244.0.3'],
  )
})

test('gives an alias for an external name, and the address in the name of a pod', () => {
  assert.equal(ask('other.shop.svc.cluster.local'), ['db.example.com'])
  assert.equal(ask('10-244-0-9.shop.pod.cluster.local'), ['10.244.0.9'])
  assert.is(ask('nonsense.shop.pod.cluster.local'), 'NXDOMAIN')
})

test('gives names of addresses', () => {
  assert.equal(ask('7.0.96.10.in-addr.arpa', 'PTR'), ['web.shop.svc.cluster.local'])
  assert.equal(ask('2.0.244.10.in-addr.arpa', 'PTR'), ['first.each.shop.svc.cluster.local'])
  assert.is(ask('1.1.1.1.in-addr.arpa', 'PTR'), 'NXDOMAIN')
})

test('knows nothing outside of the cluster', () => {
  assert.is(ask('example.com'), 'NXDOMAIN')
  assert.not.ok(resolveQuestion(source, { name: 'example.com', type: 'A' }).isAuthoritative)
})

test.run()
