import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Drain } from '../../src/runtime/control/drain.ts'
import { durationMsOf, parseDurationMs } from '../../src/runtime/control/duration.ts'
import { KeyedQueue } from '../../src/runtime/control/queue.ts'
import { Readiness } from '../../src/runtime/control/readiness.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { FakeClock, settle } from '../support/fake-clock.ts'

const test = suite('control/queue')

function world(work: (key: string) => Promise<void>, concurrency = 1) {
  const clock = new FakeClock()
  const stopping = new AbortController()
  const errors: string[] = []
  const queue = new KeyedQueue({
    clock,
    signal: stopping.signal,
    work,
    concurrency,
    random: () => 1,
    onError: (key) => errors.push(key),
  })
  return { clock, queue, errors, stop: () => stopping.abort(new Error('stop')) }
}

test('a key that waits is worked on once, one that is added meanwhile once more', async () => {
  const done: string[] = []
  let release = () => {}
  const { queue } = world(async (key) => {
    done.push(key)
    await new Promise<void>((resolve) => {
      release = resolve
    })
  })
  queue.add('a')
  queue.add('a')
  queue.add('b')
  queue.add('b')
  queue.add('a')
  for (let turn = 0; turn < 4; turn++) {
    await settle()
    release()
  }
  await queue.whenIdle()
  assert.equal(done, ['a', 'a', 'b'])
})

test('work that fails comes again, later each time, and starts afresh after success', async () => {
  let failures = 3
  const atMs: number[] = []
  const { clock, queue, errors } = world(async () => {
    atMs.push(clock.nowMs())
    if (failures-- > 0) throw new Error('not yet')
  })
  queue.add('a')
  await clock.advance(10_000)
  assert.equal(
    atMs.map((ms) => ms - (atMs[0] ?? 0)),
    [0, 250, 750, 1750],
  )
  assert.is(errors.length, 3)
})

test('a stopped queue takes nothing more', async () => {
  const done: string[] = []
  const { queue, stop } = world(async (key) => {
    done.push(key)
  })
  queue.add('a')
  stop()
  queue.add('b')
  await queue.whenIdle()
  assert.equal(done, ['a'])
})

test('no key is ever worked on twice at a time, and the last addition is never lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 4 }),
      async (keys, concurrency) => {
        const active = new Set<string>()
        const wanted = new Map<string, number>()
        const seen = new Map<string, number>()
        const { queue } = world(async (key) => {
          assert.not(active.has(key))
          active.add(key)
          assert.ok(active.size <= concurrency)
          const version = wanted.get(key) ?? 0
          await settle()
          seen.set(key, version)
          active.delete(key)
        }, concurrency)
        for (const [index, key] of keys.entries()) {
          wanted.set(String(key), index)
          queue.add(String(key))
          if (index % 3 === 0) await Promise.resolve()
        }
        await queue.whenIdle()
        assert.equal([...seen].toSorted(), [...wanted].toSorted())
      },
    ),
    { numRuns: 50 },
  )
})

test('drain closes in reverse order, and names what did not end in time', async () => {
  const clock = new FakeClock()
  const drain = new Drain()
  const closed: string[] = []
  drain.add('first', () => {
    closed.push('first')
  })
  drain.add('stuck', () => new Promise(() => {}))
  drain.add('broken', async () => {
    throw new Error('broken')
  })
  drain.add('last', async () => {
    closed.push('last')
  })
  const draining = drain.run(clock, 5_000)
  await clock.advance(5_000)
  assert.equal(await draining, ['broken', 'stuck'])
  assert.equal(closed, ['last', 'first'])
})

test('ready is when nothing is missing, again and again', () => {
  const readiness = new Readiness()
  assert.equal(readiness.missing(), [])
  const guard = readiness.guard('issuer')
  assert.equal(readiness.missing(), ['issuer: starting'])
  guard.ready()
  assert.equal(readiness.missing(), [])
  guard.notReady('expired')
  assert.equal(readiness.missing(), ['issuer: expired'])
})

test('durations', () => {
  const values: [string, number | undefined][] = [
    ['24h', 86_400_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5s', 1500],
    ['0', 0],
    ['2d', 172_800_000],
    ['', undefined],
    ['10', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['s', undefined],
    ['1e3s', undefined],
  ]
  for (const [text, ms] of values) assert.is(durationMsOf(text), ms, text)
  assert.throws(
    () => parseDurationMs('soon'),
    (error: unknown) => error instanceof MeshError && error.code === 'MESH_DURATION_INVALID',
  )
})

test.run()
