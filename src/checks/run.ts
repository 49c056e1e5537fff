import { messageOf } from '../runtime/shared/errors.ts'
import {
  type Category,
  type Check,
  type CheckContext,
  CheckFailure,
  type CheckObserver,
  type CheckResult,
  CheckSkip,
} from './types.ts'

/** How long one attempt may take. */
const attemptTimeoutMs = 30_000
/** Between two attempts. */
const retryIntervalMs = 1_000

/**
 * Runs checks in order. A fatal one that fails ends the run; one that may yet hold is tried again until the deadline.
 * @param options.waitMs how long to wait for checks that may yet hold; 0 asks once
 */
export async function runChecks(
  categories: readonly Category[],
  context: CheckContext,
  options: { waitMs: number; observer?: CheckObserver },
): Promise<CheckResult[]> {
  const deadlineMs = context.clock.nowMs() + options.waitMs
  const results: CheckResult[] = []
  for (const category of categories) {
    options.observer?.onCategory?.(category.id)
    for (const check of category.checks) {
      const ended = await runUntil(check, context, deadlineMs, options.observer)
      const result = { category: category.id, check, ...ended }
      results.push(result)
      options.observer?.onResult?.(result)
      if (result.outcome === 'error' && check.isFatal === true) return results
    }
  }
  return results
}

type Ended = Pick<CheckResult, 'outcome' | 'reason'>

async function runUntil(
  check: Check,
  context: CheckContext,
  deadlineMs: number,
  observer: CheckObserver | undefined,
): Promise<Ended> {
  for (;;) {
    const ended = await attempt(check, context)
    const failed = ended.outcome === 'error' || ended.outcome === 'warning'
    if (!failed || check.isRetried !== true) return ended
    if (context.clock.nowMs() + retryIntervalMs > deadlineMs) return ended
    observer?.onWaiting?.(check, ended.reason ?? '')
    await context.clock.sleep(retryIntervalMs)
    context.cluster.forget()
  }
}

async function attempt(check: Check, context: CheckContext): Promise<Ended> {
  const ended = new AbortController()
  const timeout = context.clock.sleep(attemptTimeoutMs, ended.signal).then(() => {
    throw new CheckFailure(`no answer within ${attemptTimeoutMs / 1000} s`)
  })
  try {
    await Promise.race([check.run(context), timeout])
    return { outcome: 'success' }
  } catch (thrown) {
    const reason = messageOf(thrown)
    if (thrown instanceof CheckSkip) return { outcome: 'skipped', reason }
    return { outcome: check.isWarning === true ? 'warning' : 'error', reason }
  } finally {
    timeout.catch(() => undefined)
    ended.abort(new Error('the attempt has ended'))
  }
}

/** Whether no check failed; warnings do not count. */
export function isHealthy(results: readonly CheckResult[]): boolean {
  return results.every(({ outcome }) => outcome !== 'error')
}
