import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planCronJob } from '../../../src/runtime/local/controllers/cron-job/reconcile.ts'
import { nextTimeMs, parseSchedule } from '../../../src/runtime/local/controllers/cron-job/schedule.ts'
import type { CronJob, Job } from '../../../src/runtime/local/objects.ts'

const test = suite('local/controllers/cron-job')

function next(text: string, after: string, timeZone?: string): string | undefined {
  const schedule = parseSchedule(text)
  if (schedule === undefined) return 'unreadable'
  const atMs = nextTimeMs(schedule, Date.parse(after), timeZone)
  return atMs === undefined ? undefined : new Date(atMs).toISOString().slice(0, 16)
}

test('finds the next time of a schedule', () => {
  const after = '2026-01-15T10:07:30Z' // A Thursday.
  const cases: [string, string][] = [
    ['* * * * *', '2026-01-15T10:08'],
    ['*/15 * * * *', '2026-01-15T10:15'],
    ['5,10-12/2 10 * * *', '2026-01-15T10:10'],
    ['0 9 * * mon-fri', '2026-01-16T09:00'],
    ['0 0 29 2 *', '2028-02-29T00:00'],
    ['0 0 13 * fri', '2026-01-16T00:00'],
    ['0 0 * * 7', '2026-01-18T00:00'],
    ['30 4 1 jan,jul *', '2026-07-01T04:30'],
    ['@hourly', '2026-01-15T11:00'],
    ['@weekly', '2026-01-18T00:00'],
  ]
  for (const [schedule, expected] of cases) assert.is(next(schedule, after), expected, schedule)
  assert.is(next('0 0 30 2 *', after), undefined)
})

test('counts in the time zone, also across the change of the clocks', () => {
  assert.is(next('30 8 * * *', '2026-01-15T00:00:00Z', 'Europe/Berlin'), '2026-01-15T07:30')
  assert.is(next('30 8 * * *', '2026-07-15T00:00:00Z', 'Europe/Berlin'), '2026-07-15T06:30')
  assert.is(next('0 12 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin'), '2026-03-29T10:00')
})

test('refuses what is no schedule', () => {
  for (const text of [
    '',
    '* * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '5-1 * * * *',
    '*/0 * * * *',
    'x * * * *',
  ]) {
    assert.is(next(text, '2026-01-15T00:00:00Z'), 'unreadable', text)
  }
})

const nowMs = Date.UTC(2026, 0, 15, 10, 7, 30)

function cronJob(spec: Partial<CronJob['spec']> = {}, lastScheduleTime?: string): CronJob {
  return {
    metadata: { name: 'tick', creationTimestamp: '2026-01-15T10:00:30Z' },
    spec: {
      schedule: '*/5 * * * *',
      jobTemplate: { spec: { template: { spec: { containers: [] } } } },
      ...spec,
    },
    ...(lastScheduleTime === undefined ? {} : { status: { lastScheduleTime } }),
  }
}

function job(name: string, type?: 'Complete' | 'Failed', startTime = '2026-01-15T10:00:00Z'): Job {
  const conditions = type === undefined ? [] : [{ type, status: 'True' as const }]
  return {
    metadata: { name },
    spec: { template: { spec: { containers: [] } } },
    status: { conditions, startTime },
  }
}

const names = (jobs: Job[]) => jobs.map(({ metadata }) => metadata.name)

test('starts the run that is due, once, and looks again at the next', () => {
  const due = planCronJob(cronJob(), [], nowMs)
  assert.is(due.startMs, Date.UTC(2026, 0, 15, 10, 5))
  assert.is(due.againMs, 150_000)
  assert.is(planCronJob(cronJob({}, '2026-01-15T10:05:00Z'), [], nowMs).startMs, undefined)
})

test('makes up for the last missed run only, and not too late', () => {
  assert.is(planCronJob(cronJob({}, '2026-01-15T09:00:00Z'), [], nowMs).startMs, Date.UTC(2026, 0, 15, 10, 5))
  assert.is(planCronJob(cronJob({ startingDeadlineSeconds: 60 }), [], nowMs).startMs, undefined)
})

test('heeds what is still running', () => {
  const running = [job('a')]
  assert.is(planCronJob(cronJob({ concurrencyPolicy: 'Forbid' }), running, nowMs).startMs, undefined)
  const replacing = planCronJob(cronJob({ concurrencyPolicy: 'Replace' }), running, nowMs)
  assert.equal([replacing.startMs !== undefined, names(replacing.remove)], [true, ['a']])
  assert.is(planCronJob(cronJob({ suspend: true }), [], nowMs).startMs, undefined)
})

test('forgets the oldest ended runs', () => {
  const at = (minute: number) => `2026-01-15T09:0${minute}:00Z`
  const jobs = [0, 1, 2, 3].map((minute) => job(`ok${minute}`, 'Complete', at(minute)))
  const failed = [0, 1].map((minute) => job(`bad${minute}`, 'Failed', at(minute)))
  const plan = planCronJob(cronJob({ successfulJobsHistoryLimit: 2 }), [...jobs, ...failed], nowMs)
  assert.equal(names(plan.remove), ['ok0', 'ok1', 'bad0'])
})

test('tells when schedule or time zone make no sense', () => {
  assert.ok(planCronJob(cronJob({ schedule: 'soon' }), [], nowMs).isInvalid)
  assert.ok(planCronJob(cronJob({ timeZone: 'Nowhere/City' }), [], nowMs).isInvalid)
})

test.run()
