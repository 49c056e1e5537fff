import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'

/** The object that an Event is about. */
export interface EventTarget {
  apiVersion: string
  kind: string
  name: string
  namespace: string
  uid?: string
}

export interface EventRecorderOptions {
  kube: KubeClient
  clock: Clock
  /** `source.component` of the Events, such as `linkerd-identity`. */
  component: string
  onError?: (error: unknown) => void
}

/** `v1` Event. */
interface Event extends KubeObject {
  involvedObject: object
  reason: string
  message: string
  type: string
  count: number
  firstTimestamp: string
  lastTimestamp: string
  source: { component: string }
  reportingComponent: string
  reportingInstance: string
}

/** Events about one object: this many at once, and then one per period. */
const burst = 10
const refillMs = 300_000
const maxInFlight = 32
const maxTracked = 4096

/**
 * Writes Events, best effort: nothing waits for them, and an object that causes many, or an API that is slow, makes
 * some be left out.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>()
  #inFlight = 0
  #serial = 0

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  record(target: EventTarget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { kube, clock, component, onError } = this.#options
    if (this.#inFlight >= maxInFlight || !this.#take(`${target.kind}/${target.namespace}/${target.name}`))
      return
    const now = new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    this.#serial += 1
    const suffix = `${clock.nowMs().toString(16)}${this.#serial.toString(16).padStart(4, '0')}`
    const event: Event = {
      metadata: { name: `${target.name.slice(0, 200)}.${suffix}`, namespace: target.namespace },
      involvedObject: target,
      reason,
      message: message.slice(0, 1024),
      type,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component },
      reportingComponent: component,
      reportingInstance: component,
    }
    this.#inFlight += 1
    kube
      .create(resources.events, event)
      .catch((error: unknown) => onError?.(error))
      .finally(() => {
        this.#inFlight -= 1
      })
  }

  #take(key: string): boolean {
    const nowMs = this.#options.clock.nowMs()
    const known = this.#buckets.get(key) ?? { tokens: burst, atMs: nowMs }
    const tokens = Math.min(burst, known.tokens + (nowMs - known.atMs) / refillMs)
    this.#buckets.delete(key)
    this.#buckets.set(key, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: nowMs })
    if (this.#buckets.size > maxTracked) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    return tokens >= 1
  }
}
