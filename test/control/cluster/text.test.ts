import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseDestination, parseServiceAuthority } from '../../../src/runtime/control/cluster/authority.ts'
import {
  canonicalIp,
  formatIp,
  type Ip,
  ipFromWire,
  ipToWire,
  networkContains,
  parseIp,
  parseIpNetwork,
} from '../../../src/runtime/control/cluster/ip.ts'
import { parsePortSet, portSetHas } from '../../../src/runtime/control/cluster/port-set.ts'
import { selectorMatches } from '../../../src/runtime/control/cluster/selector.ts'

const test = suite('control/cluster: what is written in text')

const domain = 'cluster.local'

const destinations: [string, ReturnType<typeof parseDestination>][] = [
  ['web.shop.svc.cluster.local', { kind: 'service', name: 'web', namespace: 'shop', port: 80 }],
  ['web.shop.svc.cluster.local.:8080', { kind: 'service', name: 'web', namespace: 'shop', port: 8080 }],
  ['WEB.shop.svc.cluster.local:1', { kind: 'service', name: 'web', namespace: 'shop', port: 1 }],
  [
    'db-0.db.shop.svc.cluster.local:5432',
    { kind: 'service', name: 'db', namespace: 'shop', port: 5432, instance: 'db-0' },
  ],
  ['10.1.2.3', { kind: 'address', ip: '10.1.2.3', port: 80 }],
  ['10.1.2.3:443', { kind: 'address', ip: '10.1.2.3', port: 443 }],
  ['[fd00::1]:443', { kind: 'address', ip: 'fd00::1', port: 443 }],
  ['[FD00:0::0001]:443', { kind: 'address', ip: 'fd00::1', port: 443 }],
  ['[::ffff:10.1.2.3]:443', { kind: 'address', ip: '10.1.2.3', port: 443 }],
  ['fd00::1', { kind: 'address', ip: 'fd00::1', port: 80 }],
]
for (const [text, expected] of destinations) {
  test(`reads ${text}`, () => {
    assert.equal(parseDestination(text, domain), expected)
  })
}

for (const text of [
  '',
  ':80',
  'web',
  'web.shop',
  'web.shop.svc',
  'web.shop.svc.other.domain',
  'svc.cluster.local',
  '.svc.cluster.local',
  'shop.svc.cluster.local',
  'a.b.c.d.svc.cluster.local',
  'we_b.shop.svc.cluster.local',
  '-web.shop.svc.cluster.local',
  'web.shop.svc.cluster.local:',
  'web.shop.svc.cluster.local:0',
  'web.shop.svc.cluster.local:65536',
  'web.shop.svc.cluster.local:80a',
  '10.1.2.3:-1',
  '10.1.2.300:80',
  'xsvc.cluster.local',
]) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    assert.is(parseDestination(text, domain).kind, 'malformed')
  })
}

test('an authority of policy names a whole Service', () => {
  assert.is(parseServiceAuthority('web.shop.svc.cluster.local', domain).kind, 'service')
  assert.is(parseServiceAuthority('db-0.db.shop.svc.cluster.local', domain).kind, 'malformed')
  assert.is(parseServiceAuthority('10.0.0.1:80', domain).kind, 'malformed')
})

test('no text makes the reader of destinations throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseDestination(text, domain)
      parseDestination(`${text}.svc.cluster.local`, domain)
    }),
  )
})

const ips: fc.Arbitrary<Ip> = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((bits) => ({ family: 4 as const, bits })),
  fc
    .bigInt({ min: 0n, max: (1n << 128n) - 1n })
    .filter((bits) => bits >> 32n !== 0xffffn)
    .map((bits) => ({ family: 6 as const, bits })),
)

test('an address survives its text and its wire form', () => {
  fc.assert(
    fc.property(ips, (ip) => {
      assert.equal(parseIp(formatIp(ip)), ip)
      assert.equal(ipFromWire(ipToWire(ip)), ip)
      assert.is(canonicalIp(formatIp(ip)), formatIp(ip))
    }),
  )
})

test('a network holds the addresses that share its prefix', () => {
  fc.assert(
    fc.property(ips, fc.nat(128), (ip, length) => {
      const width = ip.family === 4 ? 32 : 128
      const prefixLength = Math.min(length, width)
      const network = parseIpNetwork(`${formatIp(ip)}/${prefixLength}`)
      if (network === undefined) throw new Error('the network was not read')
      assert.ok(networkContains(network, ip))
      if (prefixLength === 0) return
      const outside = ip.bits ^ (1n << BigInt(width - prefixLength))
      assert.not(networkContains(network, { family: ip.family, bits: outside }))
    }),
  )
})

for (const text of ['10.0.0.0/33', '10.0.0/8', '10.0.0.0/', '10.0.0.0/8/8', '::/129', 'fe80::1%eth0', '']) {
  test(`${JSON.stringify(text)} is no network`, () => {
    assert.is(parseIpNetwork(text), undefined)
  })
}

test('ports are numbers, ranges and names; slips of the pen do not lose the rest', () => {
  const ports = parsePortSet(' 25, 3000-3002 ,mysql,,0,70000,9-8,a--very-long-name-indeed,1-2-3')
  assert.equal(ports.ranges, [
    [25, 25],
    [3000, 3002],
  ])
  assert.equal(ports.names, ['mysql'])
  assert.ok(portSetHas(ports, 3001))
  assert.not(portSetHas(ports, 3003))
  assert.ok(portSetHas(ports, 3306, 'mysql'))
  assert.not(portSetHas(ports, 3306, 'other'))
  assert.not(portSetHas(parsePortSet(''), 3306))
})

const labels = { app: 'web', tier: 'front' }
const selectors: [Parameters<typeof selectorMatches>[0], boolean][] = [
  [undefined, true],
  [{}, true],
  [{ matchLabels: { app: 'web' } }, true],
  [{ matchLabels: { app: 'web', tier: 'back' } }, false],
  [{ matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'api'] }] }, true],
  [{ matchExpressions: [{ key: 'other', operator: 'In', values: ['web'] }] }, false],
  [{ matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['web'] }] }, false],
  [{ matchExpressions: [{ key: 'other', operator: 'NotIn', values: ['web'] }] }, true],
  [{ matchExpressions: [{ key: 'app', operator: 'Exists' }] }, true],
  [{ matchExpressions: [{ key: 'other', operator: 'DoesNotExist' }] }, true],
  [{ matchExpressions: [{ key: 'app', operator: 'Near' }] }, false],
]
for (const [selector, isMatch] of selectors) {
  test(`${JSON.stringify(selector)} ${isMatch ? 'selects' : 'does not select'}`, () => {
    assert.is(selectorMatches(selector, labels), isMatch)
  })
}

test.run()
