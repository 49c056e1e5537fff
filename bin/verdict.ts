/** How a test program ended. */
export interface Finished {
  code: number | null
  output: string
  durationMs: number
  timedOut: boolean
}

/** A count of uvu's closing lines. */
export function countOf(output: string, word: 'Total' | 'Passed' | 'Skipped'): number | undefined {
  const found = output.match(new RegExp(`^\\s*${word}:\\s+(\\d+)`, 'm'))
  return found?.[1] === undefined ? undefined : Number(found[1])
}

/** Why a file's run must not count as green, whatever it printed. */
export function objectionTo(finished: Finished, source: string): string | undefined {
  if (finished.timedOut) return 'ran past its deadline'
  if (!/\.run\(\)/.test(source)) return 'never calls test.run()'
  if (/\b(test|suite)\.only\(/.test(source)) return 'has test.only'
  if (/\btest\.skip\(/.test(source)) return 'has test.skip'
  const total = countOf(finished.output, 'Total')
  if (total === undefined || total === 0) return 'ran no test'
  if (countOf(finished.output, 'Skipped') !== 0) return 'skipped tests'
  if (countOf(finished.output, 'Passed') !== total) return 'not all passed'
  if (finished.code !== 0) return `exited with ${finished.code}`
  return undefined
}
