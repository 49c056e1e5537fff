/** HTTP status codes, both ends included. */
export interface StatusRange {
  start: number
  end: number
}

/**
 * Reads one condition on a status: `503`, `500-504`, `5xx` in either case, or `gateway-error`. Undefined when it is
 * none of these.
 */
export function parseStatusRange(text: string): StatusRange | undefined {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === 'gateway-error') return { start: 502, end: 504 }
  const hundred = /^([1-5])xx$/.exec(trimmed)?.[1]
  if (hundred !== undefined) return { start: Number(hundred) * 100, end: Number(hundred) * 100 + 99 }
  const [, first = '', last = first] = /^(\d{3})(?:-(\d{3}))?$/.exec(trimmed) ?? []
  const range = { start: Number(first), end: Number(last) }
  return first !== '' && range.start >= 100 && range.end <= 599 && range.start <= range.end
    ? range
    : undefined
}
