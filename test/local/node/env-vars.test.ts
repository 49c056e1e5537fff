import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type ConfigSource,
  ContainerConfigError,
  containerEnv,
  expand,
  fieldValue,
  type PodFacts,
  parseQuantity,
  resourceValue,
} from '../../../src/runtime/local/node/env-vars.ts'
import type { Container } from '../../../src/runtime/local/objects.ts'

const test = suite('local/node/env-vars')

const facts: PodFacts = {
  pod: {
    metadata: { name: 'p', namespace: 'shop', uid: 'u', labels: { app: 'web', b: 'say "x"' } },
    spec: {
      containers: [{ name: 'c', resources: { limits: { cpu: '500m' }, requests: { memory: '64Mi' } } }],
    },
  },
  hostIp: '10.244.0.1',
  podIps: ['10.244.0.2', 'fd00::2'],
  capacity: { cpus: 4, memoryBytes: 2 ** 30 },
}
const source: ConfigSource = {
  configMap: (name) => (name === 'cm' ? { metadata: { name }, data: { key: 'value' } } : undefined),
  secret: () => undefined,
}
const own = facts.pod.spec.containers[0] as Container

test('expands only what is known, and only with what came before', () => {
  const env = new Map([['A', 'a']])
  assert.is(expand('$(A) $(B) $$(A) $A $', env), 'a $(B) $(A) $A $')
  const container: Container = {
    name: 'c',
    env: [
      { name: 'LATE', value: '$(EARLY)' },
      { name: 'EARLY', value: 'x' },
      { name: 'AFTER', value: '$(EARLY)$(LATE)' },
    ],
  }
  assert.equal(
    [...containerEnv(container, facts, source)],
    [
      ['LATE', '$(EARLY)'],
      ['EARLY', 'x'],
      ['AFTER', 'x$(EARLY)'],
    ],
  )
})

test('names what is missing, unless it is optional', () => {
  const withKey = (name: string, key: string, optional: boolean): Container => ({
    name: 'c',
    env: [{ name: 'A', valueFrom: { configMapKeyRef: { name, key, optional } } }],
  })
  const message = (container: Container) => {
    try {
      return [...containerEnv(container, facts, source)]
    } catch (error) {
      assert.instance(error, ContainerConfigError)
      return (error as Error).message
    }
  }
  assert.is(message(withKey('none', 'key', false)), 'configmap "none" not found in namespace shop')
  assert.is(message(withKey('cm', 'none', false)), "couldn't find key none in ConfigMap shop/cm")
  assert.equal(message(withKey('none', 'key', true)), [])
  assert.equal(message(withKey('cm', 'key', false)), [['A', 'value']])
})

test('gives fields of the pod', () => {
  const field = (fieldPath: string) => fieldValue({ fieldPath }, facts)
  assert.is(field('metadata.namespace'), 'shop')
  assert.is(field("metadata.labels['app']"), 'web')
  assert.is(field("metadata.annotations['none']"), '')
  assert.is(field('metadata.labels'), 'app="web"\nb="say \\"x\\""')
  assert.is(field('status.podIPs'), '10.244.0.2,fd00::2')
  assert.is(field('spec.serviceAccountName'), 'default')
  assert.throws(() => field('spec.containers'), /unsupported fieldPath/)
})

test('gives resources in units of the divisor, rounded up, and the machine for what is not limited', () => {
  const resource = (name: string, divisor?: string) =>
    resourceValue({ resource: name, ...(divisor === undefined ? {} : { divisor }) }, facts, own)
  assert.is(resource('limits.cpu'), '1')
  assert.is(resource('limits.cpu', '1m'), '500')
  assert.is(resource('requests.memory', '1Mi'), '64')
  assert.is(resource('limits.memory', '1Gi'), '1')
  assert.is(resource('requests.cpu'), '0')
})

test('reads quantities', () => {
  assert.equal(
    ['1', '100m', '1.5', '2k', '64Mi', '1e3', '-1'].map(parseQuantity),
    [1, 0.1, 1.5, 2000, 67108864, 1000, -1],
  )
  assert.ok(['', 'x', '1Xi', '1 Mi'].map(parseQuantity).every(Number.isNaN))
})

test.run()
