import { History, type HistoryLimits } from './history.ts'
import type { VizPod } from './pod.ts'

/** The families that are kept; everything else of a scrape is passed over. */
export const keptFamilies: ReadonlySet<string> = new Set([
  'response_total',
  'response_latency_ms_bucket',
  'tcp_open_connections',
  'tcp_read_bytes_total',
  'tcp_write_bytes_total',
])

/** A pod, and what its proxy said. */
export interface Target {
  pod: VizPod
  history: History
  /** The pod is no longer there; what it counted still is. */
  isGone: boolean
  /** What was wrong with the last scrape. */
  error?: string
}

/** How much is kept of all proxies together. */
export interface StateLimits {
  history: HistoryLimits
  /** Series of all targets. Beyond it nothing new is kept. */
  maxSeries: number
}

/** What was watched: pods, and the metrics of their proxies. */
export class VizState {
  readonly #limits: StateLimits
  readonly #targets = new Map<string, Target>()

  constructor(limits: StateLimits) {
    this.#limits = limits
  }

  setPod(pod: VizPod): void {
    const target = this.#targets.get(pod.uid)
    if (target === undefined) {
      const history = new History((name) => keptFamilies.has(name), this.#limits.history)
      this.#targets.set(pod.uid, { pod, history, isGone: false })
    } else target.pod = pod
  }

  /** Marks a pod as gone. Its history stays until it is older than what is kept. */
  removePod(uid: string): void {
    const target = this.#targets.get(uid)
    if (target === undefined) return
    if (target.history.isEmpty) this.#targets.delete(uid)
    else target.isGone = true
  }

  /** All pods that are, and those that were within the retention. */
  targets(): Iterable<Target> {
    return this.#targets.values()
  }

  /** Series held now. */
  get seriesCount(): number {
    let count = 0
    for (const { history } of this.#targets.values()) count += history.seriesCount
    return count
  }

  /** Takes a scrape in. A full store keeps what it has and refuses proxies that it does not know yet. */
  record(uid: string, timeMs: number, text: string): void {
    const target = this.#targets.get(uid)
    if (target === undefined) return
    if (target.history.isEmpty && !this.#makeRoom()) {
      target.error = `the limit of ${this.#limits.maxSeries} series is reached`
      return
    }
    const malformed = target.history.record(timeMs, text)
    if (malformed > 0) target.error = `${malformed} lines cannot be read`
    else delete target.error
  }

  recordFailure(uid: string, reason: string): void {
    const target = this.#targets.get(uid)
    if (target !== undefined) target.error = reason
  }

  /** Forgets what is older than the retention, and the pods that have nothing left. */
  forget(nowMs: number): void {
    for (const [uid, { history, isGone }] of this.#targets) {
      history.forget(nowMs)
      if (isGone && history.isEmpty) this.#targets.delete(uid)
    }
  }

  /** Whether there is room for another proxy; those that are gone are given up first, the longest gone first. */
  #makeRoom(): boolean {
    let count = this.seriesCount
    if (count < this.#limits.maxSeries) return true
    const gone = [...this.#targets]
      .filter(([, target]) => target.isGone)
      .sort(([, a], [, b]) => (a.history.lastMs ?? 0) - (b.history.lastMs ?? 0))
    for (const [uid, { history }] of gone) {
      if (count < this.#limits.maxSeries) break
      count -= history.seriesCount
      this.#targets.delete(uid)
    }
    return count < this.#limits.maxSeries
  }
}
