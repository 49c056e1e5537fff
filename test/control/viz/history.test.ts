import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { History, type HistoryLimits } from '../../../src/runtime/control/viz/history.ts'

const test = suite('control/viz/history')

const limits: HistoryLimits = {
  retentionMs: 3_600_000,
  fineMs: 120_000,
  coarseStepMs: 30_000,
  maxSeries: 100,
}
const second = 1_000

function history(overrides: Partial<HistoryLimits> = {}): History {
  return new History((name) => name.startsWith('r_') || name === 'g', { ...limits, ...overrides })
}

/** A scrape of one counter. */
function counter(value: number, startedMs?: number): string {
  const start = startedMs === undefined ? '' : `process_start_time_seconds ${startedMs / 1_000}\n`
  return `${start}r_total{a="1"} ${value}\n`
}

function increaseOf(subject: History, fromMs: number, toMs: number): number | undefined {
  return [...subject.read(fromMs, toMs, (name) => name === 'r_total')][0]?.increase
}

test('counts the growth from the scrape at or before the begin of the window', () => {
  const subject = history()
  for (const [at, value] of [
    [10, 100],
    [15, 110],
    [20, 130],
    [25, 160],
  ] as const) {
    subject.record(at * second, counter(value))
  }
  assert.is(increaseOf(subject, 15 * second, 25 * second), 50)
  assert.is(increaseOf(subject, 17 * second, 25 * second), 50)
  assert.is(increaseOf(subject, 10 * second, 20 * second), 30)
  assert.equal(subject.coverage(17 * second, 25 * second), { fromMs: 15 * second, toMs: 25 * second })
})

test('what a proxy had counted before the first scrape is not growth', () => {
  const subject = history()
  subject.record(10 * second, counter(1_000))
  assert.is(increaseOf(subject, 0, 10 * second), 0)
  subject.record(15 * second, counter(1_007))
  assert.is(increaseOf(subject, 0, 15 * second), 7)
  assert.equal(subject.coverage(0, 15 * second), { fromMs: 10 * second, toMs: 15 * second })
})

test('a proxy that started within the window counted from zero', () => {
  const subject = history()
  subject.record(10 * second, counter(40, 2 * second))
  assert.is(increaseOf(subject, 1 * second, 10 * second), 40)
  assert.equal(subject.coverage(1 * second, 10 * second), { fromMs: 2 * second, toMs: 10 * second })
  assert.is(increaseOf(subject, 5 * second, 10 * second), 0, 'started before the window')
})

test('a series that appears later counted from zero', () => {
  const subject = history()
  subject.record(10 * second, 'r_total{a="0"} 5\n')
  subject.record(15 * second, `r_total{a="0"} 5\n${counter(3)}`)
  const readings = [...subject.read(10 * second, 15 * second, () => true)]
  assert.equal(
    readings.map(({ series, increase }) => [series.labels.a, increase]),
    [
      ['0', 0],
      ['1', 3],
    ],
  )
})

test('a counter that falls began again at zero', () => {
  const subject = history()
  subject.record(10 * second, counter(100))
  subject.record(15 * second, counter(120))
  subject.record(20 * second, counter(7))
  subject.record(25 * second, counter(9))
  assert.is(increaseOf(subject, 10 * second, 25 * second), 29)
})

test('a counter of a process that began again did so too, though it did not fall', () => {
  const subject = history()
  subject.record(10 * second, counter(10, 1 * second))
  subject.record(15 * second, counter(12, 11 * second))
  assert.is(increaseOf(subject, 10 * second, 15 * second), 12)
})

test('a gauge that is missing from a scrape is zero', () => {
  const subject = history()
  subject.record(10 * second, 'g 3\n')
  assert.is([...subject.read(0, 10 * second, () => true)][0]?.last, 3)
  subject.record(15 * second, 'r_total 1\n')
  assert.is([...subject.read(0, 15 * second, (name) => name === 'g')][0]?.last, 0)
})

test('labels in another order are the same series', () => {
  const subject = history()
  subject.record(10 * second, 'r_total{a="1",b="2"} 5\n')
  subject.record(15 * second, 'r_total{b="2",a="1"} 8\n')
  assert.is(subject.seriesCount, 1)
  assert.is(increaseOf(subject, 10 * second, 15 * second), 3)
})

test('refuses series beyond the limit, and takes them once idle ones can go', () => {
  const subject = history({ maxSeries: 2 })
  subject.record(10 * second, 'r_total{a="1"} 1\nr_total{a="2"} 1\nr_total{a="3"} 1\n')
  assert.is(subject.seriesCount, 2)
  assert.is(subject.dropped, 1)
  subject.record(15 * second, 'r_total{a="2"} 2\n')
  subject.record(20 * second, 'r_total{a="2"} 3\n')
  subject.record(25 * second, 'r_total{a="2"} 4\nr_total{a="3"} 6\n')
  assert.is(subject.dropped, 0)
  const readings = [...subject.read(10 * second, 25 * second, () => true)]
  assert.equal(
    readings.map(({ series, increase }) => [series.labels.a, increase]),
    [
      ['2', 3],
      ['3', 6],
    ],
  )
})

test('ignores a scrape that is not newer, and nonsense values', () => {
  const subject = history()
  subject.record(10 * second, counter(5))
  subject.record(10 * second, counter(50))
  subject.record(15 * second, 'r_total{a="1"} NaN\nr_total{a="1"} +Inf\n')
  assert.is(increaseOf(subject, 10 * second, 15 * second), 0)
})

test('keeps an hour in few frames, and the sum of all growth whatever was thinned out', () => {
  const subject = history()
  let value = 0
  let expected = 0
  for (let at = 0; at <= 7_200; at += 5) {
    const grows = at % 70 === 0 ? -value : 3
    expected += at > 3_600 && at <= 7_200 ? (grows < 0 ? 1 : 3) : 0
    value = grows < 0 ? 1 : value + 3
    subject.record(at * second, counter(value))
  }
  const increase = increaseOf(subject, 3_600 * second, 7_200 * second) ?? 0
  assert.is(increase, expected)
  const covered = subject.coverage(3_600 * second, 7_200 * second)
  assert.equal(covered, { fromMs: 3_600 * second, toMs: 7_200 * second })
})

test('forgets everything in the end', () => {
  const subject = history()
  subject.record(10 * second, counter(5))
  subject.forget(10 * second + limits.retentionMs)
  assert.is(subject.isEmpty, false)
  subject.forget(10 * second + limits.retentionMs + 1)
  assert.is(subject.isEmpty, true)
  assert.is(subject.coverage(0, 4_000 * second), undefined)
})

test('growth of neighbouring windows adds up to that of both, through any resets', () => {
  const steps = fc.array(fc.oneof(fc.nat(50), fc.constant(-1)), { minLength: 3, maxLength: 40 })
  fc.assert(
    fc.property(steps, fc.nat(), (deltas, pick) => {
      const subject = history({ fineMs: 3_600_000 })
      let value = 0
      for (const [index, delta] of deltas.entries()) {
        value = delta < 0 ? 0 : value + delta
        subject.record((index + 1) * second, counter(value))
      }
      const middle = 2 + (pick % (deltas.length - 2))
      const whole = increaseOf(subject, second, deltas.length * second) ?? 0
      const parts =
        (increaseOf(subject, second, middle * second) ?? 0) +
        (increaseOf(subject, middle * second, deltas.length * second) ?? 0)
      assert.is(parts, whole)
      assert.is(
        whole,
        deltas.slice(1).reduce((sum, delta) => sum + Math.max(0, delta), 0),
      )
    }),
  )
})

test.run()
