import type { Clock } from '../../src/runtime/shared/clock.ts'

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #nowMs: number
  readonly #timers = new Set<{ atMs: number; fire: () => void }>()

  constructor(nowMs = Date.UTC(2026, 0, 15)) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const onAbort = () => {
        this.#timers.delete(timer)
        reject(signal?.reason as Error)
      }
      const timer = {
        atMs: this.#nowMs + durationMs,
        fire: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      this.#timers.add(timer)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** How many sleep. */
  get sleeperCount(): number {
    return this.#timers.size
  }

  /** Moves time on, waking sleepers one after the other at their time, and lets each do what it does without I/O. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await settle()
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.fire()
      await settle()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Lets everything that is ready to run, run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
