import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  Computed,
  ComputedMap,
  latest,
  type Observer,
  Wakeups,
} from '../../../src/runtime/control/cluster/reactive.ts'
import { Table } from '../../../src/runtime/control/cluster/table.ts'

const test = suite('control/cluster: computed values')

/** Counts how often it was told. */
class Witness implements Observer {
  told = 0
  depend(): void {}
  invalidate(): void {
    this.told += 1
  }
}

test('a value is computed once for all readers, and again only after what it read changed', () => {
  const table = new Table<number>()
  table.set('a', 1)
  table.set('b', 1)
  let computations = 0
  const sum = new Computed((observer) => {
    computations += 1
    return (table.get('a', observer) ?? 0) + 1
  })
  const [first, second] = [new Witness(), new Witness()]
  assert.is(sum.read(first), 2)
  assert.is(sum.read(second), 2)
  assert.is(computations, 1)
  table.set('b', 5)
  table.set('a', 1)
  assert.is(first.told, 0)
  table.set('a', 2)
  assert.is(first.told, 1)
  assert.is(second.told, 1)
  assert.is(sum.read(first), 3)
  assert.is(computations, 2)
})

test('what is no longer read no longer matters', () => {
  const table = new Table<string>()
  table.set('pointer', 'x')
  table.set('x', 'one')
  const followed = new Computed((observer) => table.get(table.get('pointer', observer) ?? '', observer))
  const witness = new Witness()
  assert.is(followed.read(witness), 'one')
  table.set('pointer', 'y')
  assert.is(followed.read(witness), undefined)
  const told = witness.told
  table.set('x', 'two')
  assert.is(witness.told, told)
  table.set('y', 'three')
  assert.is(followed.read(witness), 'three')
})

test('values that nobody reads any more are forgotten, with all they were made of', () => {
  const table = new Table<number>()
  const inner = new ComputedMap((key: string, observer) => table.get(key, observer) ?? 0)
  const outer = new ComputedMap((keys: string[], observer) =>
    keys.map((key) => inner.of(key).read(observer)).reduce((sum, value) => sum + value, 0),
  )
  const [first, second] = [new Witness(), new Witness()]
  const sum = outer.of(['a', 'b'])
  assert.is(outer.of(['a', 'b']), sum)
  sum.read(first)
  outer.of(['b']).read(second)
  assert.is(inner.size, 2)
  sum.leave(first)
  assert.is(inner.size, 1)
  outer.of(['b']).leave(second)
  assert.is(inner.size, 0)
  assert.is(outer.size, 0)
})

test('a computation that fails is tried again by the next reader', () => {
  const table = new Table<number>()
  const value = new Computed((observer) => {
    const row = table.get('a', observer)
    if (row === undefined) throw new Error('not yet')
    return row
  })
  const witness = new Witness()
  assert.throws(() => value.read(witness), 'not yet')
  table.set('a', 7)
  assert.is(value.read(witness), 7)
})

test('a reader that starts too late or never leaves nothing behind', async () => {
  const map = new ComputedMap(() => 1)
  const aborted = new AbortController()
  aborted.abort()
  for await (const _ of latest(map.of('a'), new Wakeups(), aborted.signal)) assert.unreachable()
  assert.is(map.size, 0)
})

test('a slow reader gets the newest value, not the ones between', async () => {
  const table = new Table<number>()
  table.set('a', 1)
  const ending = new AbortController()
  const value = new Computed((observer) => table.get('a', observer) ?? 0)
  const reader = latest(value, new Wakeups(), ending.signal)
  assert.is((await reader.next()).value, 1)
  for (let number = 2; number <= 100; number += 1) table.set('a', number)
  assert.is((await reader.next()).value, 100)
  const waiting = reader.next()
  table.set('a', 101)
  table.set('a', 102)
  assert.is((await waiting).value, 102)
  ending.abort()
  assert.ok((await reader.next()).done)
})

test('an index finds what has a key, through every change', () => {
  type Row = { keys: string[] }
  const changes = fc.array(
    fc.record({
      id: fc.constantFrom('r', 's', 't'),
      keys: fc.option(fc.uniqueArray(fc.constantFrom('x', 'y', 'z')), { nil: undefined }),
    }),
  )
  fc.assert(
    fc.property(changes, (steps) => {
      const table = new Table<Row>()
      const index = table.index((row) => row.keys)
      const expected = new Map<string, Row>()
      const views = new Map(
        ['x', 'y', 'z'].map((key) => [key, new Computed((observer) => index.rows(key, observer).length)]),
      )
      const witness = new Witness()
      for (const { id, keys } of steps) {
        table.set(id, keys === undefined ? undefined : { keys })
        if (keys === undefined) expected.delete(id)
        else expected.set(id, { keys })
        for (const [key, view] of views) {
          const count = [...expected.values()].filter((row) => row.keys.includes(key)).length
          assert.is(view.read(witness), count)
        }
      }
    }),
  )
})

test.run()
