/** A bucket of a histogram: how many observations were at most `upperBound`. */
export interface Bucket {
  upperBound: number
  /** Cumulative: it includes those of all lower buckets. */
  count: number
}

/**
 * The value below which a share of the observations lies, interpolated within its bucket as Prometheus does
 * (`histogram_quantile`): the first bucket begins at 0, and what falls beyond the last finite bound counts as that bound.
 * Counts that fall from one bucket to the next, as sums of racing scrapes may, are raised to the one before.
 *
 * @param share from 0 to 1
 * @param buckets in any order; the last must be `Infinity`
 * @returns `undefined` when nothing was observed, or the last bucket is not infinite
 */
export function histogramQuantile(share: number, buckets: readonly Bucket[]): number | undefined {
  const ordered = monotone(buckets)
  const last = ordered.at(-1)
  if (last === undefined || last.upperBound !== Infinity || !(last.count > 0)) return undefined
  const rank = Math.min(1, Math.max(0, share)) * last.count
  const index = ordered.findIndex((bucket) => bucket.count >= rank)
  const bucket = ordered[index] ?? last
  const below = ordered[index - 1]
  if (bucket.upperBound === Infinity) return below?.upperBound
  const lower = below?.upperBound ?? Math.min(0, bucket.upperBound)
  const countBelow = below?.count ?? 0
  const inside = bucket.count - countBelow
  if (inside <= 0) return lower
  return lower + (bucket.upperBound - lower) * ((rank - countBelow) / inside)
}

function monotone(buckets: readonly Bucket[]): Bucket[] {
  let highest = 0
  return [...buckets]
    .sort((a, b) => (a.upperBound < b.upperBound ? -1 : 1))
    .map(({ upperBound, count }) => {
      highest = Math.max(highest, count)
      return { upperBound, count: highest }
    })
}
