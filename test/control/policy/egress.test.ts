import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OutboundPolicy } from '../../../src/runtime/control/policy/outbound-policy.ts'
import { outboundPolicy } from '../../../src/runtime/control/policy/outbound-wire.ts'
import { World } from '../../support/policy-state.ts'

const test = suite('control/policy: egress')

function networkYaml(name: string, spec: string, meta = '', namespace = 'shop'): string {
  return `
apiVersion: policy.linkerd.io/v1alpha1
kind: EgressNetwork
metadata: { name: ${name}, namespace: ${namespace}${meta} }
spec: ${spec}`
}

function routeYaml(name: string, parent: string, rules: string, kind = 'HTTPRoute'): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name} }
spec: { parentRefs: [{ group: policy.linkerd.io, kind: EgressNetwork, name: ${parent}, port: 443 }], rules: ${rules} }`
}

function policyOf(world: World, ip: string, port = 443, source = 'shop'): OutboundPolicy {
  const result = world.towardsAddress(ip, port, source)
  if (result.kind !== 'policy') throw new Error(`a policy was expected, not ${result.kind}`)
  return result.policy
}

function nameOf(world: World, ip: string, source = 'shop'): string {
  return policyOf(world, ip, 443, source).meta.name
}

test('without networks it is all that lies outside the cluster', () => {
  const world = new World().apply(networkYaml('all', '{ trafficPolicy: Allow }'))
  assert.is(nameOf(world, '93.184.216.34'), 'all')
  assert.is(nameOf(world, '2606:2800:220:1::1'), 'all')
  assert.is(world.towardsAddress('10.1.2.3', 80).kind, 'unknown')
  assert.is(nameOf(world, '93.184.216.34', 'office'), 'egress-fallback')
})

test('the client’s namespace comes before the global one; the narrowest network counts, then the oldest', () => {
  const dated = (day: number) => `, creationTimestamp: "2026-01-0${day}T00:00:00Z"`
  const world = new World().apply(
    networkYaml(
      'global',
      '{ trafficPolicy: Allow, networks: [{ cidr: 93.184.216.34/32 }] }',
      '',
      'linkerd-egress',
    ),
    networkYaml('wide', '{ trafficPolicy: Allow, networks: [{ cidr: 93.0.0.0/8, except: [93.1.0.0/16] }] }'),
    networkYaml('young', '{ trafficPolicy: Allow, networks: [{ cidr: 93.184.0.0/16 }] }', dated(2)),
    networkYaml('old', '{ trafficPolicy: Allow, networks: [{ cidr: 93.184.0.0/16 }] }', dated(1)),
  )
  assert.is(nameOf(world, '93.184.216.34'), 'old')
  assert.is(nameOf(world, '93.200.0.1'), 'wide')
  assert.is(nameOf(world, '93.1.0.1'), 'egress-fallback')
  assert.is(nameOf(world, '93.184.216.34', 'office'), 'global')
})

test('a network that overlaps the cluster, or cannot be read, is not used', () => {
  for (const networks of ['[{ cidr: 10.2.0.0/16 }]', '[{ cidr: 0.0.0.0/0 }]', '[]', '[{ cidr: x }]']) {
    const world = new World().apply(networkYaml('bad', `{ trafficPolicy: Deny, networks: ${networks} }`))
    assert.is(nameOf(world, '93.184.216.34'), 'egress-fallback')
    assert.ok(world.policies.egressNetworks.rows().next().value?.problem)
  }
  const spared = '[{ cidr: 0.0.0.0/0, except: [10.0.0.0/8] }]'
  const world = new World().apply(networkYaml('good', `{ trafficPolicy: Deny, networks: ${spared} }`))
  assert.is(nameOf(world, '93.184.216.34'), 'good')
})

test('what is denied is answered with 403, or refused', () => {
  for (const trafficPolicy of ['Deny', 'Perhaps']) {
    const world = new World().apply(networkYaml('n', `{ trafficPolicy: ${trafficPolicy} }`))
    const kind = outboundPolicy(policyOf(world, '93.184.216.34')).protocol?.kind
    if (kind?.case !== 'detect') throw new Error('detection was expected')
    const http = kind.value.http1?.routes[0]
    const filter = http?.rules[0]?.filters[0]?.kind
    assert.is(http?.metadata?.kind.value, 'http-egress-deny')
    assert.is(filter?.case === 'failureInjector' && filter.value.status, 403)
    assert.is(kind.value.opaque?.routes[0]?.rules[0]?.filters[0]?.kind.case, 'forbidden')
    assert.is(kind.value.opaque?.routes[0]?.metadata?.kind.value, 'tcp-egress-deny')
  }
})

test('what is allowed is forwarded to where the client wanted to go', () => {
  const policy = policyOf(new World().apply(networkYaml('n', '{ trafficPolicy: Allow }')), '93.184.216.34')
  const [backend] =
    policy.opaqueRoutes[0]?.rules[0]?.backends.kind === 'first-available'
      ? policy.opaqueRoutes[0].rules[0].backends.backends
      : []
  assert.is(backend?.backend.kind === 'forward' && backend.backend.ip, '93.184.216.34')
  assert.equal(policy.opaqueRoutes[0]?.rules[0]?.filters, [])
  assert.is(policy.httpRoutes[0]?.meta.name, 'http-egress-allow')
})

test('routes of a network come first, for their port, and the rest stays as the network says', () => {
  const world = new World().apply(
    networkYaml('n', '{ trafficPolicy: Deny }'),
    routeYaml('api', 'n', '[{ matches: [{ path: { value: /api } }] }]'),
    routeYaml(
      'named',
      'n',
      '[{ backendRefs: [{ group: policy.linkerd.io, kind: EgressNetwork, name: n }, { group: policy.linkerd.io, kind: EgressNetwork, name: gone }] }]',
    ),
  )
  const { httpRoutes } = policyOf(world, '93.184.216.34')
  assert.equal(
    httpRoutes.map(({ meta }) => meta.name),
    ['api', 'named', 'http-egress-deny'],
  )
  const named = httpRoutes[1]?.rules[0]?.backends
  assert.equal(named?.kind === 'random-available' ? named.backends.map(({ backend }) => backend.kind) : [], [
    'forward',
    'invalid',
  ])
  assert.equal(policyOf(world, '93.184.216.34', 80).httpRoutes.length, 1)
})

test('gRPC routes of a network are followed by what the network says', () => {
  const world = new World().apply(
    networkYaml('n', '{ trafficPolicy: Deny }'),
    routeYaml('calls', 'n', '[{ matches: [{ method: { service: a.B } }] }]', 'GRPCRoute'),
  )
  const kind = outboundPolicy(policyOf(world, '93.184.216.34')).protocol?.kind
  if (kind?.case !== 'grpc') throw new Error('gRPC was expected')
  assert.equal(
    kind.value.routes.map(({ metadata }) => metadata?.kind.case),
    ['resource', 'default'],
  )
})

test.run()
