import { allChecks } from '../../checks/registry.ts'
import { MeshError } from '../shared/errors.ts'
import { nearest } from '../shared/nearest.ts'

/** What is known about one code. */
export interface Explanation {
  code: string
  /** Markdown without its heading. */
  text: string
}

/** The sections of `docs/errors.md`, by their code. */
function sectionsOf(markdown: string): Map<string, string> {
  const sections = new Map<string, string>()
  for (const part of markdown.split(/^### `/m).slice(1)) {
    const end = part.indexOf('`')
    const body = part.slice(part.indexOf('\n') + 1).split(/^#{1,2} /m)[0] ?? ''
    sections.set(part.slice(0, end), body.trim())
  }
  return sections
}

/** Every code that can be explained, sorted. */
export function explainableCodes(markdown: string): string[] {
  const codes = new Set([...sectionsOf(markdown).keys(), ...allChecks().map(({ check }) => check.code)])
  return [...codes].sort()
}

/**
 * What a code means and what to do about it.
 * @param markdown text of `docs/errors.md`
 * @throws MeshError `MESH_EXPLAIN_UNKNOWN_CODE` with the nearest code
 */
export function explain(code: string, markdown: string): Explanation {
  const wanted = code.toUpperCase()
  const found = allChecks().find(({ check }) => check.code === wanted)
  const parts: string[] = []
  if (found !== undefined) {
    const { category, check } = found
    const severity = check.isWarning === true ? 'a warning' : check.isFatal === true ? 'fatal' : 'an error'
    parts.push(`Check "${check.description}" of ${category}; when it does not hold, that is ${severity}.`)
    if (check.fix !== undefined) parts.push(`Fix: ${check.fix}`)
  }
  const section = sectionsOf(markdown).get(wanted)
  if (section !== undefined) parts.push(section)
  if (parts.length > 0) return { code: wanted, text: parts.join('\n\n') }
  const near = nearest(wanted, explainableCodes(markdown))
  throw new MeshError({
    code: 'MESH_EXPLAIN_UNKNOWN_CODE',
    kind: 'usage',
    message: `there is no code ${JSON.stringify(code)}`,
    next: [
      ...(near === undefined ? [] : [`Did you mean: mesh explain ${near}?`]),
      'List all codes: mesh explain',
    ],
  })
}
