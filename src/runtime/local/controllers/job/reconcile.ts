import { timestamp } from '../../cluster.ts'
import type { Condition, Job, JobStatus, Pod } from '../../objects.ts'
import { findCondition, isActive, isReady, withCondition } from '../conditions.ts'

/** What to do about a Job. */
export interface JobPlan {
  /** How many pods to create. */
  create: number
  remove: Pod[]
  status: JobStatus
  /** When to look again: a back-off, a deadline or the end of the time to live. */
  againMs: number | undefined
  /** The time to live after its end is over. */
  isExpired: boolean
}

const firstBackOffMs = 10_000
const longestBackOffMs = 360_000

/**
 * Compares a Job with its pods. Indexed completion and success policies are not supported.
 * @param pods all pods that the Job controls
 */
export function planJob(job: Job, pods: Pod[], nowMs: number): JobPlan {
  const { spec } = job
  const active = pods.filter(isActive)
  const succeeded = pods.filter((pod) => pod.status?.phase === 'Succeeded').length
  const failed = pods.filter((pod) => pod.status?.phase === 'Failed')
  const startTime = job.status?.startTime ?? timestamp(nowMs)
  const counts = {
    active: active.length,
    ready: active.filter(isReady).length,
    succeeded,
    failed: failed.length,
  }
  const base: JobStatus = { ...counts, startTime, conditions: job.status?.conditions ?? [] }
  const finished = findFinished(job.status?.conditions)
  if (finished !== undefined) return planFinished(job, active, { ...job.status, ...counts }, nowMs)
  const end = whyEnded(job, { succeeded, active: active.length, failed: failed.length, startTime }, nowMs)
  if (end !== undefined) return planEnd(job, active, base, end, nowMs)
  if (spec.suspend)
    return { create: 0, remove: active, status: { ...base, active: 0 }, againMs: undefined, isExpired: false }
  const wanted = wantedPods(job, succeeded, active.length)
  const waitMs = wanted > active.length ? backOffMs(failed, nowMs) : 0
  const deadlineMs =
    spec.activeDeadlineSeconds && Date.parse(startTime) + spec.activeDeadlineSeconds * 1000 - nowMs
  const times = [waitMs, deadlineMs].filter((ms): ms is number => ms !== undefined && ms > 0)
  return {
    create: waitMs > 0 ? 0 : Math.max(0, wanted - active.length),
    remove: active.slice(wanted),
    status: base,
    againMs: times.length === 0 ? undefined : Math.min(...times),
    isExpired: false,
  }
}

/** Without `completions`, one success ends the Job and no new pods are made after it. */
function wantedPods({ spec }: Job, succeeded: number, active: number): number {
  const parallelism = spec.parallelism ?? 1
  if (spec.completions === undefined && spec.parallelism !== undefined) {
    return succeeded > 0 ? active : parallelism
  }
  return Math.min(parallelism, (spec.completions ?? 1) - succeeded)
}

/** A failed pod is replaced after a wait that doubles with each failure. */
function backOffMs(failed: Pod[], nowMs: number): number {
  if (failed.length === 0) return 0
  const ends = failed.flatMap((pod) =>
    (pod.status?.containerStatuses ?? []).map(
      ({ state }) => Date.parse(state.terminated?.finishedAt ?? '') || 0,
    ),
  )
  const waitMs = Math.min(firstBackOffMs * 2 ** (failed.length - 1), longestBackOffMs)
  return Math.max(0, Math.max(0, ...ends) + waitMs - nowMs)
}

function findFinished(conditions: Condition[] | undefined): Condition | undefined {
  const complete = findCondition(conditions, 'Complete')
  const failed = findCondition(conditions, 'Failed')
  return [complete, failed].find((condition) => condition?.status === 'True')
}

interface End {
  type: 'Complete' | 'Failed'
  reason: string
  message: string
}

function whyEnded(
  { spec }: Job,
  facts: { succeeded: number; active: number; failed: number; startTime: string },
  nowMs: number,
): End | undefined {
  const isQueue = spec.completions === undefined && spec.parallelism !== undefined
  const isComplete = isQueue
    ? facts.succeeded > 0 && facts.active === 0
    : facts.succeeded >= (spec.completions ?? 1)
  if (isComplete)
    return {
      type: 'Complete',
      reason: 'CompletionsReached',
      message: 'Reached expected number of succeeded pods',
    }
  if (facts.failed > (spec.backoffLimit ?? 6)) {
    return {
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    }
  }
  const { activeDeadlineSeconds } = spec
  if (
    activeDeadlineSeconds !== undefined &&
    nowMs >= Date.parse(facts.startTime) + activeDeadlineSeconds * 1000
  ) {
    return {
      type: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Job was active longer than specified deadline',
    }
  }
  return undefined
}

function planEnd(
  job: Job,
  active: Pod[],
  base: JobStatus,
  { type, reason, message }: End,
  nowMs: number,
): JobPlan {
  const now = timestamp(nowMs)
  const conditions = withCondition(base.conditions, { type, status: 'True', reason, message }, now)
  const status: JobStatus = {
    ...base,
    active: 0,
    ready: 0,
    conditions,
    ...(type === 'Complete' ? { completionTime: now } : {}),
  }
  return { ...planFinished(job, active, status, nowMs), status }
}

function planFinished(job: Job, active: Pod[], status: JobStatus, nowMs: number): JobPlan {
  const end = findFinished(status.conditions)?.lastTransitionTime
  const { ttlSecondsAfterFinished: ttl } = job.spec
  const leftMs = ttl === undefined ? undefined : Date.parse(end ?? '') + ttl * 1000 - nowMs
  return {
    create: 0,
    remove: active,
    status,
    againMs: leftMs !== undefined && leftMs > 0 ? leftMs : undefined,
    isExpired: leftMs !== undefined && leftMs <= 0,
  }
}
