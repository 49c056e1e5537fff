import type { CronJob, Job } from '../../objects.ts'
import { findCondition } from '../conditions.ts'
import { nextTimeMs, parseSchedule } from './schedule.ts'

/** What to do about a CronJob. */
export interface CronJobPlan {
  /** The time of the run that is due: milliseconds since the epoch. */
  startMs: number | undefined
  /** Jobs that a new run replaces, and ended ones beyond the history. */
  remove: Job[]
  active: Job[]
  /** When to look again. */
  againMs: number | undefined
  /** The schedule cannot be read, or the time zone is not known. */
  isInvalid: boolean
}

/** A run that was missed is made up for only as long as this, unless the CronJob says otherwise. */
const defaultDeadlineMs = 100 * 60_000

/** @param jobs all Jobs that the CronJob controls */
export function planCronJob(cronJob: CronJob, jobs: Job[], nowMs: number): CronJobPlan {
  const { spec, metadata, status } = cronJob
  const active = jobs.filter((job) => !isFinished(job))
  const old = surplusHistory(cronJob, jobs)
  const schedule = isTimeZone(spec.timeZone) ? parseSchedule(spec.schedule) : undefined
  const idle = {
    startMs: undefined,
    remove: old,
    active,
    againMs: undefined,
    isInvalid: schedule === undefined,
  }
  if (schedule === undefined || spec.suspend) return idle
  const sinceMs = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp ?? '') || nowMs
  const deadlineMs =
    spec.startingDeadlineSeconds === undefined ? defaultDeadlineMs : spec.startingDeadlineSeconds * 1000
  const dueMs = lastDueMs(Math.max(sinceMs, nowMs - deadlineMs), nowMs, (afterMs) =>
    nextTimeMs(schedule, afterMs, spec.timeZone),
  )
  const nextMs = nextTimeMs(schedule, nowMs, spec.timeZone)
  const againMs = nextMs === undefined ? undefined : nextMs - nowMs
  const isForbidden = spec.concurrencyPolicy === 'Forbid' && active.length > 0
  if (dueMs === undefined || isForbidden) return { ...idle, againMs }
  const replaced = spec.concurrencyPolicy === 'Replace' ? active : []
  return { ...idle, startMs: dueMs, remove: [...old, ...replaced], againMs }
}

function isTimeZone(name: string | undefined): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name ?? 'UTC' })
    return true
  } catch {
    return false
  }
}

/** Of several runs that were missed only the last is made up for. */
function lastDueMs(
  sinceMs: number,
  nowMs: number,
  next: (afterMs: number) => number | undefined,
): number | undefined {
  let dueMs: number | undefined
  for (let atMs = next(sinceMs); atMs !== undefined && atMs <= nowMs; atMs = next(atMs)) dueMs = atMs
  return dueMs
}

function isFinished(job: Job): boolean {
  return hasOutcome(job, 'Complete') || hasOutcome(job, 'Failed')
}

function hasOutcome(job: Job, type: 'Complete' | 'Failed'): boolean {
  return findCondition(job.status?.conditions, type)?.status === 'True'
}

function surplusHistory({ spec }: CronJob, jobs: Job[]): Job[] {
  const oldest = (type: 'Complete' | 'Failed', limit: number) => {
    const ended = jobs.filter((job) => hasOutcome(job, type))
    ended.sort((left, right) => (left.status?.startTime ?? '').localeCompare(right.status?.startTime ?? ''))
    return ended.slice(0, Math.max(0, ended.length - limit))
  }
  return [
    ...oldest('Complete', spec.successfulJobsHistoryLimit ?? 3),
    ...oldest('Failed', spec.failedJobsHistoryLimit ?? 1),
  ]
}
