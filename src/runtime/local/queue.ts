import type { Clock } from '../shared/clock.ts'
import { messageOf } from '../shared/errors.ts'
import type { Logger } from '../shared/logger.ts'

/** Brings one object to its desired state; answers when to look again, in milliseconds, if it should. */
export type Reconcile = (key: string) => Promise<number | undefined>

export interface QueueOptions {
  clock: Clock
  logger: Logger
  signal: AbortSignal
}

const firstRetryMs = 50
const longestRetryMs = 5_000
const longestWaitMs = 24 * 3_600_000

interface Entry {
  isRunning: boolean
  /** Asked for again while it ran. */
  isDirty: boolean
  failures: number
  timer?: NodeJS.Timeout
  dueMs?: number
}

/** Runs one reconciliation at a time for each key, merges requests, and retries failures with growing delays. */
export class KeyedQueue {
  readonly #reconcile: Reconcile
  readonly #options: QueueOptions
  readonly #entries = new Map<string, Entry>()

  constructor(reconcile: Reconcile, options: QueueOptions) {
    this.#reconcile = reconcile
    this.#options = options
    options.signal.addEventListener('abort', () => {
      for (const entry of this.#entries.values()) clearTimeout(entry.timer)
      this.#entries.clear()
    })
  }

  /** Asks for a reconciliation, after a delay if given. An earlier request stands. */
  add(key: string, delayMs = 0): void {
    if (this.#options.signal.aborted) return
    const entry = this.#entries.get(key) ?? { isRunning: false, isDirty: false, failures: 0 }
    this.#entries.set(key, entry)
    if (entry.isRunning && delayMs === 0) {
      entry.isDirty = true
      return
    }
    // Timers cannot wait for weeks; looking too early does no harm.
    const waitMs = Math.min(delayMs, longestWaitMs)
    const dueMs = this.#options.clock.nowMs() + waitMs
    if (entry.dueMs !== undefined && entry.dueMs <= dueMs) return
    clearTimeout(entry.timer)
    entry.dueMs = dueMs
    entry.timer = setTimeout(() => void this.#run(key, entry), waitMs)
  }

  async #run(key: string, entry: Entry): Promise<void> {
    delete entry.timer
    delete entry.dueMs
    if (entry.isRunning) {
      entry.isDirty = true
      return
    }
    entry.isRunning = true
    entry.isDirty = false
    const againMs = await this.#attempt(key, entry)
    entry.isRunning = false
    if (entry.isDirty) this.add(key)
    else if (againMs !== undefined) this.add(key, againMs)
    else if (entry.timer === undefined) this.#entries.delete(key)
  }

  async #attempt(key: string, entry: Entry): Promise<number | undefined> {
    try {
      const againMs = await this.#reconcile(key)
      entry.failures = 0
      return againMs
    } catch (error) {
      if (this.#options.signal.aborted) return undefined
      entry.failures += 1
      this.#options.logger.debug({ key, reason: messageOf(error) }, 'reconciliation failed, will retry')
      return Math.min(firstRetryMs * 2 ** (entry.failures - 1), longestRetryMs)
    }
  }
}
