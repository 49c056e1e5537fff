import { MeshError } from '../shared/errors.ts'

/** One assignment of `--set`: where, and what. */
export interface Assignment {
  path: (string | number)[]
  value: unknown
}

/** Splits at a character, except where it is escaped by a backslash or inside braces. */
function splitAt(text: string, separator: string): string[] {
  const parts: string[] = []
  let current = ''
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? ''
    if (character === '\\' && index + 1 < text.length) {
      current += character + text[++index]
      continue
    }
    if (character === '{') depth++
    if (character === '}') depth = Math.max(0, depth - 1)
    if (character === separator && depth === 0) {
      parts.push(current)
      current = ''
    } else {
      current += character
    }
  }
  return [...parts, current]
}

function withoutEscapes(text: string): string {
  return text.replace(/\\(.)/g, '$1')
}

/** A value of `--set` by what it looks like, as Helm does it. */
function typed(text: string): unknown {
  if (text.startsWith('{') && text.endsWith('}')) {
    const inner = text.slice(1, -1)
    return inner === '' ? [] : splitAt(inner, ',').map((item) => typed(item.trim()))
  }
  if (text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  // A leading zero keeps it text, as in Helm: 0123 is not a number.
  if (/^-?(0|[1-9][0-9]{0,14})$/.test(text)) return Number(text)
  return withoutEscapes(text)
}

function pathOf(key: string, expression: string): (string | number)[] {
  return splitAt(key, '.').flatMap((part) => {
    const match = /^(.*?)((?:\[[0-9]{1,4}\])*)$/.exec(part)
    const name = withoutEscapes(match?.[1] ?? '').trim()
    if (name === '') throw grammarError(expression, 'a key is empty')
    const indexes = [...(match?.[2] ?? '').matchAll(/\[([0-9]+)\]/g)].map((found) => Number(found[1]))
    return [name, ...indexes]
  })
}

function grammarError(expression: string, reason: string): MeshError {
  return new MeshError({
    code: 'MESH_VALUES_SET',
    kind: 'usage',
    message: `cannot read the value ${JSON.stringify(expression)}`,
    reason,
    next: ['Write KEY=VALUE, such as --set proxy.logLevel=debug; a comma inside a value is written \\,'],
  })
}

/**
 * Reads an expression of `--set` (`a.b=1,c=x`), `--set-string` (no types) or `--set-file` (the value is a path). The
 * grammar is Helm's: https://helm.sh/docs/intro/using_helm/#the-format-and-limitations-of---set
 * @throws MeshError `MESH_VALUES_SET`
 */
export function parseAssignments(expression: string, kind: 'typed' | 'text'): Assignment[] {
  return splitAt(expression, ',').map((part) => {
    const [key = '', ...rest] = splitAt(part, '=')
    if (rest.length === 0) throw grammarError(expression, `there is no = in ${JSON.stringify(part)}`)
    const text = rest.join('=')
    return { path: pathOf(key, expression), value: kind === 'typed' ? typed(text) : withoutEscapes(text) }
  })
}
