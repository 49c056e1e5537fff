import { parseDuration } from './duration.ts'
import { parseStatusRange, type StatusRange } from './status-range.ts'

/** How long requests may take, in ms. */
export interface Timeouts {
  /** The whole request, retries included. */
  requestMs?: number
  /** From the end of the request to the end of the response. */
  responseMs?: number
  /** Without a byte in either direction. */
  idleMs?: number
}

/** When, and how often, requests are tried again. */
export interface Retry {
  limit: number
  /** Of one try. */
  timeoutMs?: number
}

export interface HttpRetry extends Retry {
  statuses: readonly StatusRange[]
}

/** gRPC statuses that are tried again. */
export const retriableGrpcStatuses = [
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const
export type GrpcStatus = (typeof retriableGrpcStatuses)[number]

export interface GrpcRetry extends Retry {
  statuses: readonly GrpcStatus[]
}

/** What the annotations `retry.linkerd.io/*` and `timeout.linkerd.io/*` say. */
export interface Settings {
  timeouts?: Timeouts
  httpRetry?: HttpRetry
  grpcRetry?: GrpcRetry
}

/** What cannot be read, by the annotation that says it. */
export interface SettingProblem {
  family: 'timeouts' | 'httpRetry' | 'grpcRetry'
  annotation: string
  reason: string
}

const maxRetryLimit = 65_535

/**
 * Reads the annotations of a Service or a route. A family with a problem is left out; on a route the caller gives up
 * the whole route, since it would do something else than was asked.
 */
export function readSettings(annotations: Readonly<Record<string, string>>): {
  settings: Settings
  problems: SettingProblem[]
} {
  const problems: SettingProblem[] = []
  const read = <T>(family: SettingProblem['family'], parse: (annotations: Annotations) => T) => {
    const view = new Annotations(annotations, family)
    const value = parse(view)
    problems.push(...view.problems)
    return view.problems.length === 0 ? value : undefined
  }
  const timeouts = read('timeouts', readTimeouts)
  const httpRetry = read('httpRetry', readHttpRetry)
  const grpcRetry = read('grpcRetry', readGrpcRetry)
  return {
    settings: {
      ...(timeouts === undefined ? {} : { timeouts }),
      ...(httpRetry === undefined ? {} : { httpRetry }),
      ...(grpcRetry === undefined ? {} : { grpcRetry }),
    },
    problems,
  }
}

/** Reads one family of annotations, and notes what cannot be read. */
class Annotations {
  readonly problems: SettingProblem[] = []
  readonly #texts: Readonly<Record<string, string>>
  readonly #family: SettingProblem['family']

  constructor(texts: Readonly<Record<string, string>>, family: SettingProblem['family']) {
    this.#texts = texts
    this.#family = family
  }

  /** A duration above zero; zero means that it was not set. */
  durationMs(annotation: string): number | undefined {
    const text = this.#texts[annotation]
    if (text === undefined) return undefined
    const durationMs = parseDuration(text)
    if (durationMs === undefined) this.#refuse(annotation, `"${text}" is not a duration such as 10s or 250ms`)
    return durationMs === 0 ? undefined : durationMs
  }

  /** A limit above zero; zero means that it was not set. */
  limit(annotation: string): number | undefined {
    const text = this.#texts[annotation]?.trim()
    if (text === undefined) return undefined
    const limit = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
    if (!(limit <= maxRetryLimit)) this.#refuse(annotation, `"${text}" is not one of 0 to ${maxRetryLimit}`)
    return limit > 0 ? limit : undefined
  }

  /** A list separated by commas. */
  list<T>(annotation: string, parse: (part: string) => T | undefined): T[] | undefined {
    const text = this.#texts[annotation]
    if (text === undefined) return undefined
    return text.split(',').flatMap((part) => {
      const parsed = parse(part.trim())
      if (parsed === undefined) this.#refuse(annotation, `"${part.trim()}" is not known`)
      return parsed ?? []
    })
  }

  #refuse(annotation: string, reason: string): void {
    this.problems.push({ family: this.#family, annotation, reason })
  }
}

function readTimeouts(annotations: Annotations): Timeouts | undefined {
  const requestMs = annotations.durationMs('timeout.linkerd.io/request')
  const responseMs = annotations.durationMs('timeout.linkerd.io/response')
  const idleMs = annotations.durationMs('timeout.linkerd.io/idle')
  if (requestMs === undefined && responseMs === undefined && idleMs === undefined) return undefined
  return {
    ...(requestMs === undefined ? {} : { requestMs }),
    ...(responseMs === undefined ? {} : { responseMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
  }
}

function readHttpRetry(annotations: Annotations): HttpRetry | undefined {
  return readRetry(annotations, annotations.list('retry.linkerd.io/http', parseStatusRange))
}

function readGrpcRetry(annotations: Annotations): GrpcRetry | undefined {
  const parse = (text: string) => retriableGrpcStatuses.find((status) => status === text.toLowerCase())
  return readRetry(annotations, annotations.list('retry.linkerd.io/grpc', parse))
}

/** A limit or a timeout alone makes a policy as well, one without conditions. */
function readRetry<S>(
  annotations: Annotations,
  statuses: S[] | undefined,
): (Retry & { statuses: S[] }) | undefined {
  const limit = annotations.limit('retry.linkerd.io/limit')
  const timeoutMs = annotations.durationMs('retry.linkerd.io/timeout')
  if (statuses === undefined && limit === undefined && timeoutMs === undefined) return undefined
  return { limit: limit ?? 1, statuses: statuses ?? [], ...(timeoutMs === undefined ? {} : { timeoutMs }) }
}
