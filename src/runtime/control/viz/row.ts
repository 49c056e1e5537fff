import type { StatKind, StatRow } from '../../shared/viz-api.ts'
import type { Reading } from './history.ts'
import type { Place } from './place.ts'
import { type Bucket, histogramQuantile } from './quantile.ts'
import type { Target } from './state.ts'

/** Adds up what belongs to one object. */
export class Row {
  /** Of a pod row: the pod is no longer there. */
  isGone = true
  readonly #place: Place
  #status: string | null = null
  #meshed = 0
  #total = 0
  #success = 0
  #failure = 0
  #open = 0
  #readBytes = 0
  #writeBytes = 0
  #hasTcp = false
  readonly #buckets = new Map<number, number>()
  #fromMs = Infinity
  #toMs = -Infinity

  constructor(place: Place) {
    this.#place = place
  }

  countPod({ pod, isGone }: Target): void {
    if (isGone) return
    this.isGone = false
    this.#status = pod.status
    if (pod.hasEnded) return
    this.#total += 1
    if (pod.isMeshed) this.#meshed += 1
  }

  cover({ fromMs, toMs }: { fromMs: number; toMs: number }): void {
    this.#fromMs = Math.min(this.#fromMs, fromMs)
    this.#toMs = Math.max(this.#toMs, toMs)
  }

  add({ series, increase, last }: Reading, isLive: boolean): void {
    const { name, labels } = series
    // Of the two sides of a proxy, the one away from its own pod: the other would count everything twice.
    const isFarSide =
      labels.peer === undefined || (labels.direction === 'inbound') === (labels.peer === 'src')
    switch (name) {
      case 'response_total':
        if (labels.classification === 'failure') this.#failure += increase
        else this.#success += increase
        break
      case 'response_latency_ms_bucket': {
        const bound = labels.le === '+Inf' ? Infinity : Number(labels.le)
        if (!Number.isNaN(bound)) this.#buckets.set(bound, (this.#buckets.get(bound) ?? 0) + increase)
        break
      }
      default:
        if (isFarSide) this.#addTcp(name, increase, isLive ? last : 0)
    }
  }

  #addTcp(name: string, increase: number, last: number): void {
    this.#hasTcp = true
    if (name === 'tcp_open_connections') this.#open += last
    else if (name === 'tcp_read_bytes_total') this.#readBytes += increase
    else if (name === 'tcp_write_bytes_total') this.#writeBytes += increase
  }

  toStat(kind: StatKind): StatRow {
    const seconds = (this.#toMs - this.#fromMs) / 1_000
    const responses = this.#success + this.#failure
    return {
      kind,
      namespace: this.#place.namespace,
      name: this.#place.name,
      status: kind === 'pod' ? this.#status : null,
      pods: kind === 'service' ? null : { meshed: this.#meshed, total: this.#total },
      successRate: responses > 0 ? this.#success / responses : null,
      rps: responses > 0 ? responses / seconds : null,
      latencyMs: this.#latency(),
      tcp: this.#hasTcp
        ? {
            openConnections: this.#open,
            readBytesRate: this.#readBytes / seconds,
            writeBytesRate: this.#writeBytes / seconds,
          }
        : null,
    }
  }

  #latency(): StatRow['latencyMs'] {
    const buckets: Bucket[] = [...this.#buckets].map(([upperBound, count]) => ({ upperBound, count }))
    const p50 = histogramQuantile(0.5, buckets)
    const p95 = histogramQuantile(0.95, buckets)
    const p99 = histogramQuantile(0.99, buckets)
    if (p50 === undefined || p95 === undefined || p99 === undefined) return null
    return { p50, p95, p99 }
  }
}
