import type { User } from '../objects.ts'
import { statusOf } from '../status.ts'

/** A request, from a socket or from this process. */
export interface ApiRequest {
  method: string
  /** Decoded nowhere: as it was in the request line, without the query. */
  path: string
  query: URLSearchParams
  /** Names in lower case. */
  headers: Record<string, string>
  body: Uint8Array
  user: User
  /** Aborts when the client is gone. */
  signal: AbortSignal
}

/** An answer: complete, or a stream of chunks. */
export interface ApiResponse {
  status: number
  headers: Record<string, string | string[]>
  body: string | Uint8Array | AsyncIterable<string | Uint8Array>
}

export function jsonResponse(status: number, value: unknown, contentType = 'application/json'): ApiResponse {
  return {
    status,
    headers: { 'content-type': contentType, 'cache-control': 'no-cache, private' },
    body: JSON.stringify(value),
  }
}

export function textResponse(status: number, body: string): ApiResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

/** The answer for anything thrown. */
export function errorResponse(thrown: unknown): ApiResponse {
  const status = statusOf(thrown)
  return jsonResponse(status.code, status)
}

/** The Warning headers of a response, RFC 7234 §5.5. */
export function warningHeaders(warnings: readonly string[]): string[] {
  const distinct = [...new Set(warnings)]
  return distinct.map((warning) => `299 - "${warning.replace(/[\\"]/g, '\\$&').replace(/[\r\n]+/g, ' ')}"`)
}
