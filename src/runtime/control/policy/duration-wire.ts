/** A duration as the wire has it. */
export function durationToWire(durationMs: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(durationMs / 1000)
  return { seconds: BigInt(seconds), nanos: Math.round((durationMs - seconds * 1000) * 1_000_000) }
}
