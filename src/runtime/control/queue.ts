import type { Clock } from '../shared/clock.ts'

export interface KeyedQueueOptions {
  clock: Clock
  /** Ends the queue; work under way is finished. */
  signal: AbortSignal
  /** Does the work of a key. A rejection makes the key come again, later each time. */
  work: (key: string) => Promise<void>
  onError?: (key: string, error: unknown) => void
  /** Keys worked on at a time. */
  concurrency?: number
  random?: () => number
}

const firstRetryMs = 250
const maxRetryMs = 60_000

/**
 * Work by key: a key is never worked on twice at a time, a key that is added again while it waits is worked on once,
 * and one that is added while it is worked on is worked on once more afterwards.
 */
export class KeyedQueue {
  readonly #options: KeyedQueueOptions
  readonly #waiting = new Set<string>()
  readonly #working = new Set<string>()
  readonly #failures = new Map<string, number>()
  #idle: (() => void)[] = []

  constructor(options: KeyedQueueOptions) {
    this.#options = options
  }

  add(key: string): void {
    if (this.#options.signal.aborted) return
    this.#waiting.add(key)
    this.#next()
  }

  /** Adds the key after a while. */
  addAfter(key: string, delayMs: number): void {
    this.#options.clock.sleep(delayMs, this.#options.signal).then(
      () => this.add(key),
      () => {},
    )
  }

  /** Resolves when nothing waits and nothing is worked on. Keys that wait for their retry do not count. */
  whenIdle(): Promise<void> {
    if (this.#waiting.size + this.#working.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #next(): void {
    const { concurrency = 1 } = this.#options
    for (const key of this.#waiting) {
      if (this.#working.size >= concurrency) return
      if (this.#working.has(key)) continue
      this.#waiting.delete(key)
      this.#working.add(key)
      void this.#run(key)
    }
  }

  async #run(key: string): Promise<void> {
    const { work, onError, random = Math.random } = this.#options
    try {
      await work(key)
      this.#failures.delete(key)
    } catch (error) {
      const failures = this.#failures.get(key) ?? 0
      this.#failures.set(key, failures + 1)
      onError?.(key, error)
      const ceilingMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures, 20))
      this.addAfter(key, ceilingMs / 2 + (random() * ceilingMs) / 2)
    }
    this.#working.delete(key)
    if (this.#options.signal.aborted) this.#waiting.clear()
    this.#next()
    if (this.#waiting.size + this.#working.size > 0) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}
