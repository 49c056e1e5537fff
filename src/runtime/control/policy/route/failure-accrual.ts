import { parseDuration } from './duration.ts'

/** When an endpoint that keeps failing is left out for a while. Times in ms. */
export interface FailureAccrual {
  /** Failures in a row; 0 switches this off (unified only). */
  maxFailures: number
  minPenaltyMs: number
  maxPenaltyMs: number
  jitterRatio: number
  doesHonorRetryAfter: boolean
  /** Set in mode `unified`: the share of requests that must succeed; 0 switches this off. */
  successRate?: { threshold: number; windowMs: number; minRequests: number }
}

/** Endpoints that answer with errors are thought to be slower than they are. Times in ms. */
export interface LoadBias {
  penaltyMs: number
  maxRetryAfterMs: number
}

const prefix = 'balancer.linkerd.io/'
const alphaPrefix = 'balancer.alpha.linkerd.io/'

type Annotations = Readonly<Record<string, string>>

/** Thrown and caught in this file: a value cannot be read, which drops the whole family. */
class Unreadable extends Error {}

/**
 * Reads the annotations `balancer.linkerd.io/failure-accrual*`.
 * @returns undefined when it is off; `problem` when something cannot be read, which switches it off too
 */
export function readFailureAccrual(annotations: Annotations): { accrual?: FailureAccrual; problem?: string } {
  return guarded(() => {
    const accrual = parseFailureAccrual(annotations)
    return accrual === undefined ? {} : { accrual }
  })
}

/** Reads the annotations `balancer.alpha.linkerd.io/penalize-failures` and `load-biaser-*`. */
export function readLoadBias(annotations: Annotations): { bias?: LoadBias; problem?: string } {
  return guarded(() => {
    if (!boolean(annotations, `${alphaPrefix}penalize-failures`, false)) return {}
    return {
      bias: {
        penaltyMs: duration(annotations, `${alphaPrefix}load-biaser-penalty`, 5_000),
        maxRetryAfterMs: duration(annotations, `${alphaPrefix}load-biaser-max-retry-after`, 300_000),
      },
    }
  })
}

function guarded<T extends object>(read: () => T): T | { problem: string } {
  try {
    return read()
  } catch (error) {
    if (error instanceof Unreadable) return { problem: error.message }
    throw error
  }
}

function parseFailureAccrual(annotations: Annotations): FailureAccrual | undefined {
  const mode = annotations[`${prefix}failure-accrual`]
  if (mode === undefined) return undefined
  if (mode !== 'consecutive' && mode !== 'unified') {
    throw new Unreadable(`failure-accrual: "${mode}" is not known; it is consecutive or unified`)
  }
  const of = `${prefix}failure-accrual-consecutive-`
  const minPenaltyMs = duration(annotations, `${of}min-penalty`, 1_000)
  const maxPenaltyMs = duration(annotations, `${of}max-penalty`, 60_000)
  if (maxPenaltyMs === 0) throw new Unreadable('failure-accrual: the longest penalty is zero')
  if (minPenaltyMs > maxPenaltyMs) {
    throw new Unreadable('failure-accrual: the shortest penalty is longer than the longest')
  }
  return {
    maxFailures: number(annotations, `${of}max-failures`, 7, { max: 4_294_967_295, isWhole: true }),
    minPenaltyMs,
    maxPenaltyMs,
    jitterRatio: number(annotations, `${of}jitter-ratio`, 0.5, { max: 100, isWhole: false }),
    doesHonorRetryAfter: boolean(annotations, `${alphaPrefix}failure-accrual-honor-retry-after`, false),
    ...(mode === 'unified' ? { successRate: parseSuccessRate(annotations) } : {}),
  }
}

function parseSuccessRate(annotations: Annotations): FailureAccrual['successRate'] & object {
  const of = `${alphaPrefix}failure-accrual-success-rate-`
  const windowMs = duration(annotations, `${of}window`, 10_000)
  if (windowMs < 10) throw new Unreadable('failure-accrual: the window is shorter than 10ms')
  return {
    threshold: number(annotations, `${of}threshold`, 0.8, { max: 1, isWhole: false }),
    windowMs,
    minRequests: number(annotations, `${of}min-requests`, 5, { max: 1_000_000, isWhole: true }),
  }
}

function duration(annotations: Annotations, key: string, otherwiseMs: number): number {
  const text = annotations[key]
  if (text === undefined) return otherwiseMs
  const durationMs = parseDuration(text)
  if (durationMs === undefined) throw new Unreadable(`${key}: "${text}" is not a duration such as 10s`)
  return durationMs
}

function number(
  annotations: Annotations,
  key: string,
  otherwise: number,
  { max, isWhole }: { max: number; isWhole: boolean },
): number {
  const text = annotations[key]?.trim()
  if (text === undefined) return otherwise
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= max) || (isWhole && !Number.isInteger(value))) {
    throw new Unreadable(`${key}: "${text}" is not a ${isWhole ? 'whole ' : ''}number of at most ${max}`)
  }
  return value
}

/** The words that Go takes for a boolean, since manifests were written for it. */
function boolean(annotations: Annotations, key: string, otherwise: boolean): boolean {
  const text = annotations[key]
  if (text === undefined) return otherwise
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw new Unreadable(`${key}: "${text}" is not true or false`)
}
