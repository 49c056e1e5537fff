import { resources } from '../../kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { StoredObject } from './objects.ts'
import type { Store } from './store.ts'

const lifetimeMs = 3_600_000
const maxEvents = 5000
const sweepIntervalMs = 60_000

function lastSeenMs(event: StoredObject): number {
  const time = event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp
  return Date.parse(String(time))
}

/** Removes Events that are older than an hour, and the oldest when there are too many. */
export function sweepEvents(store: Store, nowMs: number, limit = maxEvents): void {
  const events = store.list<StoredObject>(resources.events).items
  const byAge = [...events].sort((left, right) => lastSeenMs(left) - lastSeenMs(right))
  for (const [index, event] of byAge.entries()) {
    const isExcess = byAge.length - index > limit
    if (!isExcess && !(nowMs - lastSeenMs(event) > lifetimeMs)) continue
    store.remove(resources.events, { name: event.metadata.name, namespace: event.metadata.namespace })
  }
}

/**
 * Sweeps Events once a minute.
 * @returns a function that stops it
 */
export function expireEvents(store: Store, clock: Clock): () => void {
  const stop = new AbortController()
  const run = async () => {
    for (;;) {
      await clock.sleep(sweepIntervalMs, stop.signal)
      sweepEvents(store, clock.nowMs())
    }
  }
  run().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })
  return () => stop.abort()
}
