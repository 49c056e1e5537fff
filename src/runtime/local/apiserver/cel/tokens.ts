/** One token of a CEL expression. */
export interface Token {
  kind: 'number' | 'string' | 'name' | 'symbol' | 'end'
  text: string
  value?: number | string
}

/** An expression that is not CEL, or that uses what this evaluator does not know. */
export class CelError extends Error {
  override readonly name = 'CelError'
}

const pattern =
  /\s*(?:\/\/[^\n]*\n\s*)*(?:(\d+\.\d+(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+|\d+)[uU]?|(r?)("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|([A-Za-z_][A-Za-z0-9_]*)|(&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()[\]{}]))/y

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', '0': '\0' }

function unquote(text: string, isRaw: boolean): string {
  const width = text.startsWith('"""') || text.startsWith("'''") ? 3 : 1
  const inner = text.slice(width, -width)
  if (isRaw) return inner
  return inner.replace(
    /\\(u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|.)/g,
    (_all, one: string, u?: string, x?: string) => {
      const hex = u ?? x
      return hex === undefined ? (escapes[one] ?? one) : String.fromCodePoint(Number.parseInt(hex, 16))
    },
  )
}

function tokenOf(match: RegExpExecArray): Token {
  const [, number, raw, text, name, symbol] = match
  if (number !== undefined) return { kind: 'number', text: number, value: Number(number) }
  if (text !== undefined) return { kind: 'string', text, value: unquote(text, raw === 'r') }
  if (name !== undefined) return { kind: 'name', text: name }
  return { kind: 'symbol', text: symbol ?? '' }
}

/** @throws CelError for a character that begins no token */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  const text = source.trimEnd()
  pattern.lastIndex = 0
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (!match) throw new CelError(`unexpected character at ${at}: ${text.slice(at, at + 10)}`)
    tokens.push(tokenOf(match))
  }
  return [...tokens, { kind: 'end', text: '' }]
}
