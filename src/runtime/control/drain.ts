import type { Clock } from '../shared/clock.ts'

/** Closes one thing; resolves when it is closed. It may be cut short. */
export type CloseFunction = () => Promise<void> | void

/** What must be closed, in order, before a process ends. */
export class Drain {
  readonly #steps: { name: string; close: CloseFunction }[] = []

  /** Adds a step. Steps run in the reverse of the order in which they were added. */
  add(name: string, close: CloseFunction): void {
    this.#steps.push({ name, close })
  }

  /**
   * Runs all steps, each for a part of the time that is left.
   * @returns the names of the steps that failed or did not end in time
   */
  async run(clock: Clock, graceMs: number): Promise<string[]> {
    const deadlineMs = clock.nowMs() + graceMs
    const unfinished: string[] = []
    for (const step of this.#steps.splice(0).reverse()) {
      const timer = new AbortController()
      const expired = clock.sleep(Math.max(0, deadlineMs - clock.nowMs()), timer.signal).then(
        () => 'expired' as const,
        () => 'closed' as const,
      )
      const closed = Promise.resolve()
        .then(step.close)
        .then(
          () => 'closed' as const,
          () => 'failed' as const,
        )
      const outcome = await Promise.race([closed, expired])
      timer.abort(new Error('closed'))
      if (outcome !== 'closed') unfinished.push(step.name)
    }
    return unfinished
  }
}
