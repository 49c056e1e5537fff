import type { StoredObject } from './objects.ts'

/** One change of one object. */
export interface Change {
  version: number
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** After the change; for a deletion the last state, with the version of the deletion. */
  object: StoredObject
  /** Before the change. */
  previous: StoredObject | undefined
}

/**
 * The recent changes of one resource. Watchers read it by version instead of owning queues, so that a slow
 * watcher costs no memory; one that falls behind the oldest change has to list again.
 */
export class WatchLog {
  #changes: Change[] = []
  #forgotten = 0
  #waiters = new Set<() => void>()
  readonly #limit: number

  /** @param limit number of changes that are surely remembered */
  constructor(limit: number) {
    this.#limit = limit
  }

  append(change: Change): void {
    this.#changes.push(change)
    if (this.#changes.length > 2 * this.#limit) {
      const dropped = this.#changes.splice(0, this.#changes.length - this.#limit)
      this.#forgotten = dropped.at(-1)?.version ?? this.#forgotten
    }
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const wake of waiters) wake()
  }

  /** The changes later than a version, or undefined when some of them are forgotten. */
  after(version: number): readonly Change[] | undefined {
    if (version < this.#forgotten) return undefined
    let low = 0
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#changes[middle]?.version ?? 0) <= version) low = middle + 1
      else high = middle
    }
    return this.#changes.slice(low)
  }

  /** The next change: a promise that resolves with it, or when it is cancelled. */
  nextChange(): { promise: Promise<void>; cancel: () => void } {
    let wake = () => {}
    const promise = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#waiters.add(wake)
    const cancel = () => {
      this.#waiters.delete(wake)
      wake()
    }
    return { promise, cancel }
  }
}
