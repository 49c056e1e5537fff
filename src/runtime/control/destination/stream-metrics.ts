import { Counter, Gauge, type Registry } from 'prom-client'
import type { Snapshot } from './snapshot.ts'

/** What a stream of endpoints is about. */
export interface StreamTarget {
  namespace: string
  name: string
  port: number
  instance?: string
}

const labelNames = ['cluster', 'namespace', 'service', 'port', 'hostname', 'nodename']

/** Counts streams and what is sent on them. The series of a target go when its last stream ends. */
export class StreamMetrics {
  readonly #subscribers: Gauge
  readonly #pods: Gauge
  readonly #exists: Gauge
  readonly #updates: Counter
  readonly #profiles: Gauge
  readonly #profileUpdates: Counter
  readonly #counts = new Map<string, number>()

  constructor(registry: Registry) {
    const registers = [registry]
    this.#subscribers = new Gauge({
      name: 'endpoints_subscribers',
      help: 'Streams that are told the endpoints',
      labelNames,
      registers,
    })
    this.#pods = new Gauge({ name: 'endpoints_pods', help: 'Endpoints', labelNames, registers })
    this.#exists = new Gauge({
      name: 'endpoints_exists',
      help: 'Whether the Service exists',
      labelNames,
      registers,
    })
    this.#updates = new Counter({
      name: 'endpoints_updates',
      help: 'Changes told to streams',
      labelNames,
      registers,
    })
    this.#profiles = new Gauge({ name: 'profile_subscribers', help: 'Streams of profiles', registers })
    this.#profileUpdates = new Counter({ name: 'profile_updates', help: 'Profiles sent', registers })
  }

  /** A stream of endpoints began; call the result when it ends. */
  subscribed(target: StreamTarget): () => void {
    const labels = labelsOf(target)
    const key = JSON.stringify(labels)
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    this.#subscribers.inc(labels)
    return () => {
      const left = (this.#counts.get(key) ?? 1) - 1
      if (left > 0) {
        this.#counts.set(key, left)
        this.#subscribers.dec(labels)
        return
      }
      this.#counts.delete(key)
      for (const metric of [this.#subscribers, this.#pods, this.#exists, this.#updates]) metric.remove(labels)
    }
  }

  /** A stream of endpoints is told of a snapshot. */
  updated(target: StreamTarget, snapshot: Snapshot): void {
    const labels = labelsOf(target)
    this.#updates.inc(labels)
    this.#exists.set(labels, snapshot.exists ? 1 : 0)
    this.#pods.set(
      labels,
      snapshot.chunks.reduce((sum, { size }) => sum + size, 0),
    )
  }

  /** A stream of a profile began; call the result when it ends. */
  profileSubscribed(): () => void {
    this.#profiles.inc()
    return () => this.#profiles.dec()
  }

  profileUpdated(): void {
    this.#profileUpdates.inc()
  }
}

function labelsOf(target: StreamTarget): Record<string, string | number> {
  return {
    cluster: 'local',
    namespace: target.namespace,
    service: target.name,
    port: target.port,
    hostname: target.instance ?? '',
    nodename: '',
  }
}
