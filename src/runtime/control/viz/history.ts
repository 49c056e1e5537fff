import { parsePrometheusText, parseSampleKey } from './prometheus-text.ts'

/** How much is kept of one proxy. */
export interface HistoryLimits {
  /** Time that is kept. */
  retentionMs: number
  /** Younger scrapes are all kept; of older ones one per {@link HistoryLimits.coarseStepMs}. */
  fineMs: number
  coarseStepMs: number
  /** Series beyond it are counted and not kept. */
  maxSeries: number
}

/**
 * With a scrape each 5 s: 24 fine and 116 coarse frames, so 1.1 KB a series at most.
 */
export const defaultHistoryLimits: HistoryLimits = {
  retentionMs: 3_600_000,
  fineMs: 120_000,
  coarseStepMs: 30_000,
  maxSeries: 5_000,
}

/** A metric with its labels. */
export interface Series {
  name: string
  labels: Readonly<Record<string, string>>
}

/** What a history says of one series in a window. */
export interface Reading {
  series: Series
  /** Of a counter: how much it grew in the window. */
  increase: number
  /** The value at the last scrape; a gauge that was not in it has 0. */
  last: number
}

/** One scrape. Of counters it holds the growth since the history began, so that leaving out frames loses nothing. */
interface Frame {
  timeMs: number
  values: Float64Array
}

interface Kept extends Series {
  isGauge: boolean
  /** As scraped last; of a counter. */
  raw: number
  /** What the next frame holds. */
  value: number
  /** Number of the scrape that it was seen in last. */
  seenIn: number
}

const counterSuffixes = ['_total', '_bucket', '_sum', '_count']
const startTimeName = 'process_start_time_seconds'

/** The last hour of one proxy's metrics: bounded in time and in number of series. */
export class History {
  /** Samples of the last scrape that were not kept, because of the limit of series. */
  dropped = 0
  readonly #limits: HistoryLimits
  readonly #accepts: (name: string) => boolean
  #series: Kept[] = []
  /** Position by name and labels as written, and by name and sorted labels: a rewritten order is no new series. */
  readonly #positions = new Map<string, number>()
  #frames: Frame[] = []
  #scrapes = 0
  #compactedIn = 0
  /** Time of the very first scrape. */
  #firstMs: number | undefined
  /** When the proxy started, as it says itself. */
  #startMs: number | undefined

  /** @param accepts names of the families to keep */
  constructor(accepts: (name: string) => boolean, limits: HistoryLimits = defaultHistoryLimits) {
    this.#accepts = accepts
    this.#limits = limits
  }

  get seriesCount(): number {
    return this.#series.length
  }

  /** Time of the last scrape in milliseconds, or `undefined` before the first. */
  get lastMs(): number | undefined {
    return this.#frames.at(-1)?.timeMs
  }

  /**
   * Takes a scrape in. Scrapes must come in order of time; an older one is ignored.
   * @returns lines that could not be read
   */
  record(timeMs: number, text: string): number {
    if (this.lastMs !== undefined && timeMs <= this.lastMs) return 0
    this.#firstMs ??= timeMs
    const restarted = this.#noteStart(text)
    this.#scrapes += 1
    this.dropped = 0
    const outcome = parsePrometheusText(text, {
      accepts: this.#accepts,
      maxSamples: this.#limits.maxSeries * 2,
      onSample: (key, value) => this.#accept(key, value, restarted),
    })
    this.dropped += outcome.overflow
    for (const series of this.#series) {
      if (series.isGauge && series.seenIn !== this.#scrapes) series.value = 0
    }
    this.#frames.push({ timeMs, values: Float64Array.from(this.#series, ({ value }) => value) })
    this.forget(timeMs)
    return outcome.malformed
  }

  /** Drops what is older than the retention, and thins out what is older than the fine time. */
  forget(nowMs: number): void {
    const { retentionMs, fineMs, coarseStepMs } = this.#limits
    let previousStep = -1
    this.#frames = this.#frames.filter(({ timeMs }) => {
      if (timeMs < nowMs - retentionMs) return false
      if (timeMs >= nowMs - fineMs) return true
      const step = Math.floor(timeMs / coarseStepMs)
      const isFirst = step !== previousStep
      previousStep = step
      return isFirst
    })
  }

  /** Whether nothing is left. */
  get isEmpty(): boolean {
    return this.#frames.length === 0
  }

  /**
   * The part of the window that is known of: from the scrape at or before its begin, or the first, or the start of the
   * process when that is in the window, to the last scrape in it.
   */
  coverage(fromMs: number, toMs: number): { fromMs: number; toMs: number } | undefined {
    const last = this.#frames.findLast(({ timeMs }) => timeMs <= toMs)
    if (last === undefined || last.timeMs <= fromMs) return undefined
    const base = this.#base(fromMs)
    const startMs = base?.timeMs ?? Math.max(fromMs, this.#startMs ?? fromMs)
    return last.timeMs <= startMs ? undefined : { fromMs: startMs, toMs: last.timeMs }
  }

  /** Reads all series of the wanted names in a window. */
  *read(fromMs: number, toMs: number, wants: (name: string) => boolean): Iterable<Reading> {
    const last = this.#frames.findLast(({ timeMs }) => timeMs <= toMs)
    if (last === undefined || last.timeMs <= fromMs) return
    const base = this.#base(fromMs)
    for (const [position, series] of this.#series.entries()) {
      if (!wants(series.name)) continue
      const value = last.values[position] ?? 0
      const before = base?.values[position] ?? 0
      yield { series, increase: series.isGauge ? 0 : Math.max(0, value - before), last: value }
    }
  }

  /** The frame that growth is counted from; none when the process started within the window. */
  #base(fromMs: number): Frame | undefined {
    const before = this.#frames.findLast(({ timeMs }) => timeMs <= fromMs)
    if (before !== undefined) return before
    const first = this.#frames[0]
    const startedInside = this.#startMs !== undefined && this.#startMs >= fromMs
    // The counters of the first scrape are then all that the process counted.
    return startedInside && first?.timeMs === this.#firstMs ? undefined : first
  }

  #noteStart(text: string): boolean {
    let startMs: number | undefined
    parsePrometheusText(text, {
      accepts: (name) => name === startTimeName,
      maxSamples: 1,
      onSample: (_, seconds) => {
        startMs = seconds * 1_000
      },
    })
    const restarted = startMs !== undefined && this.#startMs !== undefined && startMs !== this.#startMs
    this.#startMs = startMs ?? this.#startMs
    return restarted
  }

  #accept(key: string, raw: number, restarted: boolean): void {
    if (!Number.isFinite(raw)) return
    const series = this.#find(key)
    if (series === undefined) {
      this.dropped += 1
      return
    }
    if (series.isGauge) series.value = raw
    else {
      // A counter that fell began again at zero; so has one of a process that began again.
      series.value += restarted || raw < series.raw ? raw : raw - series.raw
      series.raw = raw
    }
    series.seenIn = this.#scrapes
  }

  #find(key: string): Kept | undefined {
    const known = this.#positions.get(key)
    if (known !== undefined) return this.#series[known]
    const parsed = parseSampleKey(key)
    if (parsed === undefined) return undefined
    const canonical = JSON.stringify([parsed.name, Object.entries(parsed.labels).sort(byFirst)])
    const position = this.#positions.get(canonical) ?? this.#add(canonical, parsed)
    if (position === undefined) return undefined
    if (this.#positions.size < this.#limits.maxSeries * 4) this.#positions.set(key, position)
    return this.#series[position]
  }

  #add(canonical: string, { name, labels }: Series): number | undefined {
    if (this.#series.length >= this.#limits.maxSeries) this.#compact()
    if (this.#series.length >= this.#limits.maxSeries) return undefined
    const isGauge = !counterSuffixes.some((suffix) => name.endsWith(suffix))
    const position = this.#series.push({ name, labels, isGauge, raw: 0, value: 0, seenIn: 0 }) - 1
    this.#positions.set(canonical, position)
    return position
  }

  /** Makes room: forgets series that the last two scrapes did not have and that did not move in what is kept. */
  #compact(): void {
    if (this.#compactedIn === this.#scrapes) return
    this.#compactedIn = this.#scrapes
    const first = this.#frames[0]
    const kept = [...this.#series.entries()].filter(([position, { value, seenIn }]) => {
      const moved = value !== (first?.values[position] ?? 0)
      return seenIn >= this.#scrapes - 1 || moved
    })
    if (kept.length === this.#series.length) return
    this.#frames = this.#frames.map(({ timeMs, values }) => ({
      timeMs,
      values: Float64Array.from(kept, ([position]) => values[position] ?? 0),
    }))
    this.#series = kept.map(([, series]) => series)
    this.#positions.clear()
    for (const [position, { name, labels }] of this.#series.entries()) {
      this.#positions.set(JSON.stringify([name, Object.entries(labels).sort(byFirst)]), position)
    }
  }
}

function byFirst([a]: [string, string], [b]: [string, string]): number {
  return a < b ? -1 : 1
}
