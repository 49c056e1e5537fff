import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planJob } from '../../../src/runtime/local/controllers/job/reconcile.ts'
import type { Job } from '../../../src/runtime/local/objects.ts'
import { pod } from './objects.ts'

const test = suite('local/controllers/job')
const nowMs = Date.UTC(2026, 0, 15, 0, 1)

function job(spec: Partial<Job['spec']> = {}, status: Job['status'] = {}): Job {
  return { metadata: { name: 'work' }, spec: { template: { spec: { containers: [] } }, ...spec }, status }
}

const done = (name: string) => pod(name, { phase: 'Succeeded' })
const failed = (name: string, finishedAt: string) => {
  const ended = pod(name, { phase: 'Failed' })
  const terminated = { exitCode: 1, reason: 'Error', startedAt: finishedAt, finishedAt }
  const status = { name: 'c', image: '', imageID: '', ready: false, restartCount: 0, lastState: {} }
  if (ended.status) ended.status.containerStatuses = [{ ...status, state: { terminated } }]
  return ended
}

const conditionOf = (plan: ReturnType<typeof planJob>) =>
  plan.status.conditions?.map(({ type, status, reason }) => `${type}=${status} ${reason}`)

test('runs as many pods at a time as it may, up to the number of completions', () => {
  assert.is(planJob(job(), [], nowMs).create, 1)
  assert.is(planJob(job({ completions: 5, parallelism: 2 }), [pod('a')], nowMs).create, 1)
  assert.is(planJob(job({ completions: 3, parallelism: 2 }), [done('a'), done('b')], nowMs).create, 1)
})

test('is complete when enough pods have succeeded', () => {
  const plan = planJob(job({ completions: 2 }), [done('a'), done('b')], nowMs)
  assert.equal(conditionOf(plan), ['Complete=True CompletionsReached'])
  assert.is(plan.status.completionTime, '2026-01-15T00:01:00Z')
  assert.is(plan.create, 0)
})

test('replaces a failed pod after a wait that doubles', () => {
  const first = planJob(job(), [failed('a', '2026-01-15T00:00:55Z')], nowMs)
  assert.equal([first.create, first.againMs], [0, 5_000])
  const second = planJob(
    job(),
    [failed('a', '2026-01-15T00:00:30Z'), failed('b', '2026-01-15T00:00:55Z')],
    nowMs,
  )
  assert.is(second.againMs, 15_000)
  assert.is(planJob(job(), [failed('a', '2026-01-15T00:00:50Z')], nowMs).create, 1)
})

test('fails beyond its limit of failures, and ends the pods that still run', () => {
  const pods = [failed('a', '2026-01-15T00:00:30Z'), pod('b')]
  const plan = planJob(job({ backoffLimit: 0, parallelism: 2, completions: 2 }), pods, nowMs)
  assert.equal(conditionOf(plan), ['Failed=True BackoffLimitExceeded'])
  assert.is(plan.remove.length, 1)
})

test('fails when its time is over', () => {
  const late = job({ activeDeadlineSeconds: 30 }, { startTime: '2026-01-15T00:00:00Z' })
  assert.equal(conditionOf(planJob(late, [pod('a')], nowMs)), ['Failed=True DeadlineExceeded'])
  const early = job({ activeDeadlineSeconds: 90 }, { startTime: '2026-01-15T00:00:00Z' })
  assert.is(planJob(early, [pod('a')], nowMs).againMs, 30_000)
})

test('goes when its time to live after the end is over', () => {
  const ended = planJob(job({ ttlSecondsAfterFinished: 10 }), [done('a')], nowMs)
  assert.equal([ended.isExpired, ended.againMs], [false, 10_000])
  const later = planJob(
    { ...job({ ttlSecondsAfterFinished: 10 }), status: ended.status },
    [done('a')],
    nowMs + 10_000,
  )
  assert.ok(later.isExpired)
})

test('holds no pods while it is suspended', () => {
  const plan = planJob(job({ suspend: true }), [pod('a')], nowMs)
  assert.equal([plan.create, plan.remove.length], [0, 1])
})

test.run()
