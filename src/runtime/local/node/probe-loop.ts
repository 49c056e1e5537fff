import type { Clock } from '../../shared/clock.ts'
import type { Probe } from '../objects.ts'
import type { ProbeResult } from './probe-check.ts'

export interface ProbeLoopOptions {
  clock: Clock
  check: () => Promise<ProbeResult>
  /** Called when the thresholds decide: first and whenever the decision changes. */
  onDecision: (isHealthy: boolean, message: string) => void
  /** Called for each failure that counts. */
  onFailure: (message: string) => void
  /**
   * Look more often until the first success: a container becomes ready when it is ready, not at the next period.
   * Failures in between do not count.
   */
  isEager: boolean
}

const firstEagerMs = 50
const longestEagerMs = 1_000

/** Probes until the signal aborts, and decides by the thresholds of the probe. */
export async function runProbe(probe: Probe, options: ProbeLoopOptions, signal: AbortSignal): Promise<void> {
  try {
    await options.clock.sleep((probe.initialDelaySeconds ?? 0) * 1000, signal)
    await probeUntilAborted(probe, options, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function probeUntilAborted(
  probe: Probe,
  { clock, check, onDecision, onFailure, isEager }: ProbeLoopOptions,
  signal: AbortSignal,
): Promise<void> {
  const periodMs = (probe.periodSeconds ?? 10) * 1000
  const counter = new ThresholdCounter(probe)
  let dueMs = clock.nowMs() + (isEager ? periodMs : 0)
  for (let eagerMs = firstEagerMs; ; eagerMs = Math.min(eagerMs * 1.5, longestEagerMs)) {
    const { isHealthy, message } = await check()
    if (signal.aborted) return
    const isDue = clock.nowMs() >= dueMs
    if (isDue) dueMs += periodMs
    if (!isHealthy && isDue) onFailure(message)
    const decision = isHealthy || isDue ? counter.add(isHealthy) : undefined
    if (decision !== undefined) onDecision(decision, message)
    const untilDueMs = Math.max(0, dueMs - clock.nowMs())
    const isWaiting = isEager && counter.decision !== true
    await clock.sleep(isWaiting ? Math.min(eagerMs, untilDueMs) : untilDueMs, signal)
  }
}

/** Counts results in a row. */
class ThresholdCounter {
  /** The last decision; undefined before the first. */
  decision: boolean | undefined
  readonly #successes: number
  readonly #failures: number
  #last: boolean | undefined
  #count = 0

  constructor(probe: Probe) {
    this.#successes = probe.successThreshold ?? 1
    this.#failures = probe.failureThreshold ?? 3
  }

  /** Answers when the decision changes. */
  add(isHealthy: boolean): boolean | undefined {
    this.#count = this.#last === isHealthy ? this.#count + 1 : 1
    this.#last = isHealthy
    if (this.#count < (isHealthy ? this.#successes : this.#failures)) return undefined
    if (this.decision === isHealthy) return undefined
    this.decision = isHealthy
    return isHealthy
  }
}
