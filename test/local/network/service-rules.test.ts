import { spawnSync } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { renderServiceRules } from '../../../src/runtime/local/network/service-rules.ts'
import type { EndpointSlice, Service } from '../../../src/runtime/local/objects.ts'

const test = suite('local/network/service-rules')

function service(name: string, clusterIP: string, ports: Service['spec']['ports'] = [{ port: 80 }]): Service {
  return { metadata: { name, namespace: 'shop' }, spec: { clusterIP, ports } }
}

type State = 'ready' | 'unready' | 'ending'

function slice(name: string, pods: [address: string, state: State][], port = 8080): EndpointSlice {
  return {
    metadata: { name: `${name}-0`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: pods.map(([address, state]) => ({
      addresses: [address],
      conditions: { ready: state === 'ready', serving: state !== 'unready', terminating: state === 'ending' },
    })),
    ports: [{ name: '', port }],
  }
}

const linesWith = (rules: string, word: string) => rules.split('\n').filter((line) => line.includes(word))

test('spreads over the ready endpoints only', () => {
  const pods = slice('web', [
    ['10.244.0.3', 'ready'],
    ['10.244.0.2', 'ready'],
    ['10.244.0.4', 'unready'],
  ])
  const [rule] = linesWith(renderServiceRules([service('web', '10.96.0.7')], [pods]), '10.96.0.7')
  assert.is(
    rule?.trim(),
    'ip daddr 10.96.0.7 tcp dport 80 dnat to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.3 . 8080 }',
  )
})

test('falls back to endpoints that end but still serve', () => {
  const pods = slice('web', [
    ['10.244.0.2', 'unready'],
    ['10.244.0.3', 'ending'],
  ])
  const [rule] = linesWith(renderServiceRules([service('web', '10.96.0.7')], [pods]), '10.96.0.7')
  assert.is(rule?.trim(), 'ip daddr 10.96.0.7 tcp dport 80 dnat to 10.244.0.3:8080')
})

test('refuses when there is nobody, and leaves out headless services and its own', () => {
  const services = [
    service('web', '10.96.0.7'),
    service('names', '10.96.0.8', [{ port: 53, protocol: 'UDP' }]),
    service('each', 'None'),
    service('kubernetes', '10.96.0.1', [{ port: 443 }]),
  ]
  const rules = renderServiceRules(services, [])
  assert.equal(
    linesWith(rules, 'ip daddr').map((line) => line.trim()),
    ['ip daddr 10.96.0.7 tcp dport 80 reject with tcp reset', 'ip daddr 10.96.0.8 udp dport 53 reject'],
  )
})

test('does not depend on the order of what it is given', () => {
  const services = [service('a', '10.96.0.7'), service('b', '10.96.0.8')]
  const slices = [
    slice('a', [
      ['10.244.0.2', 'ready'],
      ['10.244.0.3', 'ready'],
    ]),
    slice('b', [['10.244.0.2', 'ready']]),
  ]
  const reversed = slices
    .map((one) => ({ ...one, endpoints: [...(one.endpoints ?? [])].reverse() }))
    .reverse()
  assert.is(renderServiceRules(services, slices), renderServiceRules([...services].reverse(), reversed))
})

test('is accepted by nft, again and again', () => {
  const services = [service('web', '10.96.0.7'), service('one', '10.96.0.8'), service('none', '10.96.0.9')]
  const slices = [
    slice('web', [
      ['10.244.0.2', 'ready'],
      ['10.244.0.3', 'ready'],
    ]),
    slice('one', [['10.244.0.2', 'ready']]),
  ]
  const rules = renderServiceRules(services, slices)
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const script = 'nft -f - <<EOF && nft -f - <<EOF && nft list table ip mesh\n'
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    [...asUser, '--net', 'sh', '-c', `${script}${rules}EOF\n${rules}EOF\n`],
    {
      encoding: 'utf8',
    },
  )
  assert.is(status, 0, stderr)
  assert.match(stdout, /numgen random mod 2/)
})

test.run()
