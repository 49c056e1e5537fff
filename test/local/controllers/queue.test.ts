import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { KeyedQueue, type Reconcile } from '../../../src/runtime/local/queue.ts'
import { systemClock } from '../../../src/runtime/shared/clock.ts'
import { until } from '../../support/until.ts'

const test = suite('local/controllers/queue')

function queueOf(reconcile: Reconcile) {
  const stop = new AbortController()
  const logger = pino({ level: 'silent' })
  return { stop, queue: new KeyedQueue(reconcile, { clock: systemClock, logger, signal: stop.signal }) }
}

test('never runs a key twice at a time, and once more for all that came meanwhile', async () => {
  let running = 0
  let most = 0
  let runs = 0
  const { queue, stop } = queueOf(async () => {
    running += 1
    runs += 1
    most = Math.max(most, running)
    await sleep(20)
    running -= 1
    return undefined
  })
  queue.add('a')
  await until('it runs', () => running === 1)
  for (let times = 0; times < 5; times++) queue.add('a')
  await until('it has run again', () => runs === 2 && running === 0)
  await sleep(50)
  assert.equal([runs, most], [2, 1])
  stop.abort()
})

test('runs different keys at the same time', async () => {
  const running = new Set<string>()
  let free: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    free = resolve
  })
  const { queue, stop } = queueOf(async (key) => {
    running.add(key)
    await gate
    return undefined
  })
  for (const key of ['a', 'b', 'c']) queue.add(key)
  await until('all run', () => running.size === 3)
  free()
  stop.abort()
})

test('tries again after a failure, later each time, and starts anew after a success', async () => {
  const times: number[] = []
  const { queue, stop } = queueOf(async () => {
    times.push(Date.now())
    if (times.length < 4) throw new Error('not yet')
    return undefined
  })
  queue.add('a')
  await until('it has succeeded', () => times.length === 4)
  const [first = 0, second = 0, third = 0, fourth = 0] = times
  assert.ok(second - first >= 45 && third - second >= 95 && fourth - third >= 195)
  stop.abort()
})

test('looks again when it was asked to, or earlier when something happens', async () => {
  let runs = 0
  const { queue, stop } = queueOf(async () => {
    runs += 1
    return runs === 1 ? 60_000 : undefined
  })
  queue.add('a')
  await until('it has run', () => runs === 1)
  queue.add('a')
  await until('it has run again', () => runs === 2)
  queue.add('b', 30)
  await until('it has run late', () => runs === 3)
  stop.abort()
})

test('runs nothing after its end', async () => {
  let runs = 0
  const { queue, stop } = queueOf(async () => {
    runs += 1
    return undefined
  })
  queue.add('a', 20)
  stop.abort()
  queue.add('b')
  await sleep(60)
  assert.is(runs, 0)
})

test.run()
