import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { defaultTiming } from '../../../src/runtime/local/node/parts.ts'
import { RestartBackOff, shallRestart } from '../../../src/runtime/local/node/restart.ts'

const test = suite('local/node/restart')

test('restarts at once, then waits 10 s, doubled up to 5 min', () => {
  const backOff = new RestartBackOff(defaultTiming)
  const waits = Array.from({ length: 8 }, () => backOff.next(1_000) / 1_000)
  assert.equal(waits, [0, 10, 20, 40, 80, 160, 300, 300])
})

test('forgives after a long run', () => {
  const backOff = new RestartBackOff(defaultTiming)
  for (let crash = 0; crash < 5; crash++) backOff.next(1_000)
  assert.is(backOff.next(600_000), 0)
})

test('restarts by kind, policy and exit code', () => {
  assert.ok(shallRestart('sidecar', 'Never', 0))
  assert.not.ok(shallRestart('init', 'Always', 0))
  assert.ok(shallRestart('init', 'Always', 1))
  assert.not.ok(shallRestart('init', 'Never', 1))
  assert.ok(shallRestart('app', 'Always', 0))
  assert.not.ok(shallRestart('app', 'OnFailure', 0))
  assert.ok(shallRestart('app', 'OnFailure', 1))
  assert.not.ok(shallRestart('app', 'Never', 1))
})

test.run()
