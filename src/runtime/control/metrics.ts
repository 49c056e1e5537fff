import { collectDefaultMetrics, Registry } from 'prom-client'

/** Buckets of the durations of answers, in seconds. */
export const latencyBucketsS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60]

/** The metrics of one process, with Node's own. */
export function createMetrics(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
