import { MeshError } from '../shared/errors.ts'

const unitsMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * Reads a duration in Go's notation, such as `24h`, `1h30m`, `250ms`; `d` is a day.
 * @returns milliseconds
 * @throws MeshError `MESH_DURATION_INVALID`
 */
export function parseDurationMs(text: string): number {
  const duration = durationMsOf(text)
  if (duration !== undefined) return duration
  throw new MeshError({
    code: 'MESH_DURATION_INVALID',
    kind: 'usage',
    message: `"${text}" is not a duration`,
    next: ['Write a number and its unit: 250ms, 20s, 5m, 24h.'],
  })
}

/** Like {@link parseDurationMs}, but answers `undefined` for what is not a duration. */
export function durationMsOf(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(text)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (unitsMs[unit ?? ''] ?? 0)
  }
  return Number.isFinite(totalMs) ? totalMs : undefined
}
