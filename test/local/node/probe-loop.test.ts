import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runProbe } from '../../../src/runtime/local/node/probe-loop.ts'
import type { Probe } from '../../../src/runtime/local/objects.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const test = suite('local/node/probe-loop')

/** Runs a probe on a held clock, with what the checks find in turn; the last goes on for ever. */
function startProbe(probe: Probe, found: boolean[], isEager = false) {
  const clock = new FakeClock(0)
  const stop = new AbortController()
  const events: string[] = []
  const note = (what: string) => events.push(`${clock.nowMs() / 1000} ${what}`)
  let checks = 0
  const check = async () => {
    const isHealthy = found[Math.min(checks, found.length - 1)] ?? false
    checks += 1
    return { isHealthy, message: 'no' }
  }
  const done = runProbe(
    probe,
    {
      clock,
      check,
      isEager,
      onDecision: (isHealthy) => note(isHealthy ? 'healthy' : 'unhealthy'),
      onFailure: () => note('failure'),
    },
    stop.signal,
  )
  return { clock, stop, events, done, checkCount: () => checks }
}

test('decides by its thresholds, in its periods', async () => {
  const probe = { initialDelaySeconds: 5, periodSeconds: 2, successThreshold: 2, failureThreshold: 2 }
  const { clock, events } = startProbe(probe, [true, true, false, true, false, false])
  await clock.advance(20_000)
  const expected = [
    '7 healthy',
    '9 failure',
    '13 failure',
    '15 failure',
    '15 unhealthy',
    '17 failure',
    '19 failure',
  ]
  assert.equal(events, expected)
})

test('looks often until the first success, without counting the failures in between', async () => {
  const { clock, events, checkCount } = startProbe({ periodSeconds: 10 }, [false, false, false, true], true)
  await clock.advance(1_000)
  assert.equal(events, ['0.2375 healthy'])
  assert.is(checkCount(), 4)
  await clock.advance(20_000)
  assert.is(checkCount(), 6)
})

test('counts failures in its periods also while it looks often', async () => {
  const { clock, events } = startProbe({ periodSeconds: 10, failureThreshold: 2 }, [false], true)
  await clock.advance(25_000)
  assert.equal(
    events.map((event) => event.replace(/\.\d+/, '')),
    ['10 failure', '20 failure', '20 unhealthy'],
  )
})

test('ends with the signal', async () => {
  const { clock, stop, done, checkCount } = startProbe({ periodSeconds: 1 }, [true])
  await clock.advance(2_500)
  stop.abort(new Error('ended'))
  await done
  await clock.advance(5_000)
  assert.is(checkCount(), 3)
})

test.run()
