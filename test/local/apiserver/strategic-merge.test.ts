import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { builtinMergeSchema } from '../../../src/runtime/local/apiserver/patch/builtin-schema.ts'
import { applyMergePatch } from '../../../src/runtime/local/apiserver/patch/merge-patch.ts'
import { applyStrategicMerge } from '../../../src/runtime/local/apiserver/patch/strategic-merge.ts'

const test = suite('local/apiserver/patch/strategic-merge')
const pod = builtinMergeSchema('Pod')
const service = builtinMergeSchema('Service')

const before = {
  metadata: { name: 'a', finalizers: ['x/a'], labels: { a: '1', b: '2' } },
  spec: {
    containers: [
      {
        name: 'one',
        image: 'i:1',
        args: ['a', 'b'],
        env: [{ name: 'A', value: '1' }],
        ports: [{ containerPort: 80 }],
      },
      { name: 'two', image: 'i:2' },
    ],
    tolerations: [{ key: 'x' }],
    nodeSelector: { disk: 'ssd' },
  },
}

function containers(patch: object): unknown[] {
  return (applyStrategicMerge(before, { spec: patch }, pod) as typeof before).spec.containers
}

test('joins containers by name and env by name', () => {
  const [one, two] = containers({
    containers: [{ name: 'one', image: 'i:9', env: [{ name: 'B', value: '2' }] }],
  })
  assert.equal(one, {
    ...before.spec.containers[0],
    image: 'i:9',
    env: [
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ],
  })
  assert.equal(two, before.spec.containers[1])
})

test('replaces lists of scalars and lists without a merge key', () => {
  const [one] = containers({ containers: [{ name: 'one', args: ['c'] }] }) as { args: string[] }[]
  assert.equal(one?.args, ['c'])
  const patched = applyStrategicMerge(before, { spec: { tolerations: [{ key: 'y' }] } }, pod)
  assert.equal(patched.spec.tolerations, [{ key: 'y' }])
})

test('deletes an item by $patch, and a field by null', () => {
  assert.equal(containers({ containers: [{ name: 'one', $patch: 'delete' }] }), [before.spec.containers[1]])
  const patched = applyStrategicMerge(before, { metadata: { labels: { a: null } } }, pod)
  assert.equal(patched.metadata.labels, { b: '2' })
})

test('replaces a list or a map by $patch: replace', () => {
  const replaced = containers({ containers: [{ name: 'new', image: 'n' }, { $patch: 'replace' }] })
  assert.equal(replaced, [{ name: 'new', image: 'n' }])
  const map = applyStrategicMerge(before, { spec: { nodeSelector: { $patch: 'replace', zone: 'a' } } }, pod)
  assert.equal(map.spec.nodeSelector, { zone: 'a' } as never)
})

test('orders items as $setElementOrder says, new ones included', () => {
  const ordered = containers({
    '$setElementOrder/containers': [{ name: 'three' }, { name: 'two' }, { name: 'one' }],
    containers: [{ name: 'three', image: 'i:3' }],
  }) as { name: string }[]
  assert.equal(
    ordered.map(({ name }) => name),
    ['three', 'two', 'one'],
  )
})

test('joins finalizers and removes those of $deleteFromPrimitiveList', () => {
  const joined = applyStrategicMerge(before, { metadata: { finalizers: ['x/b'] } }, pod)
  assert.equal(joined.metadata.finalizers, ['x/a', 'x/b'])
  const removed = applyStrategicMerge(
    before,
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['x/a'] } },
    pod,
  )
  assert.equal(removed.metadata.finalizers, [])
})

test('keeps only the keys of $retainKeys', () => {
  const target = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } }
  const patch = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }
  assert.equal(applyStrategicMerge(target, patch, builtinMergeSchema('Deployment')), {
    spec: { strategy: { type: 'Recreate' } },
  } as never)
})

test('joins service ports by port', () => {
  const target = { spec: { ports: [{ port: 80, name: 'http', targetPort: 1 }] } }
  const patched = applyStrategicMerge(
    target,
    { spec: { ports: [{ port: 80, targetPort: 2 }, { port: 81 }] } },
    service,
  )
  assert.equal(patched.spec.ports, [{ port: 80, name: 'http', targetPort: 2 }, { port: 81 }] as never)
})

test('refuses an item without its merge key', () => {
  assert.throws(
    () => containers({ containers: [{ image: 'x' }] }),
    /does not contain declared merge key: name/,
  )
})

test('changes neither target nor patch', () => {
  const target = structuredClone(before)
  const patch = { spec: { containers: [{ name: 'one', image: 'x' }] } }
  applyStrategicMerge(target, patch, pod)
  assert.equal(target, before)
  assert.equal(patch, { spec: { containers: [{ name: 'one', image: 'x' }] } })
})

// The examples of RFC 7396, appendix A.
const mergePatches: [target: unknown, patch: unknown, result: unknown][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

for (const [target, patch, result] of mergePatches) {
  test(`merge patch ${JSON.stringify(patch)} on ${JSON.stringify(target)}`, () => {
    assert.equal(applyMergePatch(target, patch), result)
  })
}

test.run()
