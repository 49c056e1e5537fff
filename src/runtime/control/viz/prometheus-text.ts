/** One sample of a scrape. */
export interface Sample {
  name: string
  labels: Readonly<Record<string, string>>
  value: number
}

export interface ParseOptions {
  /** Names that are wanted; other lines are passed over unread. */
  accepts: (name: string) => boolean
  /** Told of each sample. `key` is the name and labels as they stand in the text. */
  onSample: (key: string, value: number) => void
  /** Samples after this many are only counted. */
  maxSamples: number
}

/** What became of the lines of a text. Comments, blank lines and names that are not wanted are in none. */
export interface ParseOutcome {
  samples: number
  /** Lines that cannot be read. */
  malformed: number
  /** Samples beyond the limit. */
  overflow: number
}

/** A longer line is not read. */
const maxLineLength = 8_192

/**
 * Reads the Prometheus text format 0.0.4, and OpenMetrics 1.0 as far as it is the same: time stamps, exemplars and
 * `# EOF` are allowed and ignored. A line that cannot be read is counted and passed over; nothing throws.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function parsePrometheusText(text: string, options: ParseOptions): ParseOutcome {
  const outcome: ParseOutcome = { samples: 0, malformed: 0, overflow: 0 }
  let start = 0
  while (start < text.length) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    parseLine(text, start, end, options, outcome)
    start = end + 1
  }
  return outcome
}

function parseLine(
  text: string,
  start: number,
  end: number,
  options: ParseOptions,
  outcome: ParseOutcome,
): void {
  let at = start
  while (at < end && isBlank(text.charCodeAt(at))) at += 1
  if (at === end || text[at] === '#') return
  const nameEnd = endOfName(text, at, end)
  const name = text.slice(at, nameEnd)
  if (name !== '' && !options.accepts(name)) return
  const keyEnd = endOfKey(text, nameEnd, end)
  const value = keyEnd === undefined ? undefined : parseValue(text.slice(keyEnd, end))
  if (name === '' || value === undefined || end - start > maxLineLength) outcome.malformed += 1
  else if (outcome.samples >= options.maxSamples) outcome.overflow += 1
  else {
    outcome.samples += 1
    options.onSample(text.slice(at, keyEnd).trimEnd(), value)
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d
}

/** Letters, digits, `_` and `:`. */
function isNameCode(code: number): boolean {
  const isLetter = (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a)
  return isLetter || (code >= 0x30 && code <= 0x39) || code === 0x5f || code === 0x3a
}

function endOfName(text: string, start: number, end: number): number {
  let at = start
  while (at < end && isNameCode(text.charCodeAt(at))) at += 1
  return at
}

/** Where name and labels end, or `undefined` when the braces do not close. */
function endOfKey(text: string, nameEnd: number, end: number): number | undefined {
  let at = nameEnd
  while (at < end && isBlank(text.charCodeAt(at))) at += 1
  if (text[at] !== '{') return nameEnd
  let quoted = false
  for (at += 1; at < end; at += 1) {
    const character = text[at]
    if (quoted && character === '\\') at += 1
    else if (character === '"') quoted = !quoted
    else if (!quoted && character === '}') return at + 1
  }
  return undefined
}

/** The number of ` VALUE [TIMESTAMP] [# EXEMPLAR]`. */
function parseValue(rest: string): number | undefined {
  const [word = ''] = rest.trimStart().split(/\s+/, 1)
  if (rest === '' || !isBlank(rest.charCodeAt(0))) return undefined
  if (/^[+-]?inf(inity)?$/i.test(word)) return word.startsWith('-') ? -Infinity : Infinity
  if (/^nan$/i.test(word)) return Number.NaN
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return undefined
  return Number(word)
}

/**
 * Splits the name and labels of a line, such as `a_total{b="c"}`.
 * @returns `undefined` when the labels cannot be read
 */
export function parseSampleKey(key: string): { name: string; labels: Record<string, string> } | undefined {
  const nameEnd = endOfName(key, 0, key.length)
  const name = key.slice(0, nameEnd)
  const labels: Record<string, string> = Object.create(null) as Record<string, string>
  const braces = key.slice(nameEnd).trim()
  if (braces === '') return { name, labels }
  // One label: NAME="VALUE", where the value has no bare quote, and a comma between two.
  const label = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)/y
  const inner = braces.slice(1, -1)
  while (label.lastIndex < inner.length) {
    const rest = inner.slice(label.lastIndex)
    if (rest.trim() === '') break
    const match = label.exec(inner)
    if (match === null) return undefined
    const [, labelName = '', value = ''] = match
    labels[labelName] = unescapeValue(value)
  }
  return { name, labels }
}

function unescapeValue(value: string): string {
  return value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
}
