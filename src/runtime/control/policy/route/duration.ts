const unitsMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Longest time that fits everywhere it is used: the wire counts whole seconds in 64 bits, timers of Node do not. */
const maxMs = 100 * 365 * 86_400_000

/**
 * Reads a duration of an annotation: `10s`, `250ms`, `1m`, `2h`, `1d` or `0`. Undefined when it is none of these.
 * There are no fractions and no sums.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim()
  if (/^0+$/.test(trimmed)) return 0
  const [, digits = '', unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(trimmed) ?? []
  const durationMs = Number(digits) * (unitsMs[unit] ?? Number.NaN)
  return digits !== '' && durationMs <= maxMs ? durationMs : undefined
}

/** Reads a duration of the Gateway API (GEP-2257): `1h30m`, `10s`, `500ms`. */
export function parseGatewayDuration(text: string): number | undefined {
  if (!/^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(text)) return undefined
  let sumMs = 0
  for (const [, digits = '', unit = ''] of text.matchAll(/([0-9]{1,5})(ms|h|m|s)/g)) {
    sumMs += Number(digits) * (unitsMs[unit] ?? 0)
  }
  return sumMs
}
