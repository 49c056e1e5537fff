import type { CheckObserver, CheckResult } from '../../checks/types.ts'
import { printable } from '../shared/printable.ts'

/** Where lines of a report go. */
export interface ReportSink {
  /** Writes to standard output. */
  write: (text: string) => void
  /** Colours a glyph; does nothing where there is no terminal. */
  paint: (text: string, colour: 'red' | 'green' | 'yellow') => string
}

const glyphs = {
  success: { text: '√', colour: 'green' },
  warning: { text: '‼', colour: 'yellow' },
  error: { text: '×', colour: 'red' },
} as const

/** The lines of one result; none when it was skipped. */
function linesOf(result: CheckResult, sink: ReportSink): string {
  if (result.outcome === 'skipped') return ''
  const { text, colour } = glyphs[result.outcome]
  const lines = [`${sink.paint(text, colour)} ${result.check.description}`]
  if (result.outcome !== 'success') {
    lines.push(`    ${printable(result.reason ?? '').replaceAll('\n', '\n    ')}`)
    lines.push(`    see mesh explain ${result.check.code} for hints`)
    if (result.check.fix !== undefined) lines.push(`    fix: ${result.check.fix}`)
  }
  return `${lines.join('\n')}\n`
}

/**
 * Writes results as they come, in Linkerd's format: a category underlined by hyphens, a line per check, a blank line.
 * @param options.isShort only what is not well
 */
export function textReport(sink: ReportSink, options: { isShort: boolean }): CheckObserver {
  let current: string | undefined
  let isOpen = false
  const open = (category: string) => {
    if (current === category) return
    if (isOpen) sink.write('\n')
    current = category
    isOpen = true
    sink.write(`${category}\n${'-'.repeat(category.length)}\n`)
  }
  return {
    onResult: (result) => {
      if (result.outcome === 'skipped' || (options.isShort && result.outcome === 'success')) return
      open(result.category)
      sink.write(linesOf(result, sink))
    },
  }
}

/** The last line of a text report. */
export function trailer(isHealthy: boolean, hasLines: boolean, sink: ReportSink): string {
  const glyph = isHealthy ? glyphs.success : glyphs.error
  return `${hasLines ? '\n' : ''}Status check results are ${sink.paint(glyph.text, glyph.colour)}\n`
}

/** Results as Linkerd's JSON; `code` and `fix` are ours. */
export function jsonReport(results: readonly CheckResult[], isHealthy: boolean): object {
  const categories = new Map<string, object[]>()
  for (const { category, check, outcome, reason } of results) {
    if (outcome === 'skipped') continue
    const isWell = outcome === 'success'
    const entry = {
      description: check.description,
      code: check.code,
      ...(isWell ? {} : { hint: `mesh explain ${check.code}` }),
      ...(isWell || check.fix === undefined ? {} : { fix: check.fix }),
      ...(isWell || reason === undefined ? {} : { error: reason }),
      result: outcome,
    }
    categories.set(category, [...(categories.get(category) ?? []), entry])
  }
  return {
    success: isHealthy,
    categories: [...categories].map(([categoryName, checks]) => ({ categoryName, checks })),
  }
}
