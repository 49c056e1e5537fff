// The one writer of manifests. It writes less than YAML can say: block maps and lists, plain scalars only where no
// reader can take them for anything but text, and JSON strings otherwise. kubectl reads YAML 1.1, others 1.2; both
// read this alike.

/** Text that is nothing but text in YAML 1.1 and 1.2: it begins with a letter, and holds no indicator. */
const plainText = /^(?:[A-Za-z_$(/]|--?[A-Za-z])[\w./:,@=+()$~%^|<>;-]*(?: [\w./,@=+()$~%^|<>;'"?!-]+)*$/
/** Words that some reader takes for a boolean, for nothing or for a number (`e0`). */
const reservedWords = /^(?:true|false|null|yes|no|on|off|y|n|e[-+]?\d+)$/i

function scalarText(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return String(value)
  const isPlain = plainText.test(value) && !reservedWords.test(value) && !/:( |$)/.test(value)
  return isPlain ? value : quoted(value)
}

/** A JSON string is a YAML string; what JSON leaves as it is but a terminal or YAML does not is escaped too. */
function quoted(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Characters that only a quoted text can hold, but for the newline. */
const needsQuotes = /[^\P{C}\n]|[\u2028\u2029]/u

/** Whether a text can stand as a literal block: lines of printable text, ended by one newline. */
function isBlockText(value: string): boolean {
  return /^[^\s#][\s\S]*[^\n]\n$/.test(value) && !needsQuotes.test(value)
}

function isCollection(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** The lines of a value below its key or its dash, each indented. */
function linesOf(value: object, indent: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown) => {
      if (!isCollection(item) || isEmpty(item)) return `${indent}- ${inlineText(item, indent)}`
      const [first = '', ...rest] = linesOf(item, `${indent}  `)
      return [`${indent}- ${first.trimStart()}`, ...rest]
    })
  }
  return Object.entries(value).flatMap(([key, below]: [string, unknown]) => {
    if (below === undefined) return []
    if (!isCollection(below) || isEmpty(below))
      return `${indent}${scalarText(key)}: ${inlineText(below, indent)}`
    return [`${indent}${scalarText(key)}:`, ...linesOf(below, `${indent}  `)]
  })
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0
}

function inlineText(value: unknown, indent: string): string {
  if (Array.isArray(value)) return '[]'
  if (isCollection(value)) return '{}'
  if (typeof value === 'string' && isBlockText(value)) {
    const lines = value.slice(0, -1).split('\n')
    return `|\n${lines.map((line) => (line === '' ? '' : `${indent}  ${line}`)).join('\n')}`
  }
  return scalarText((value ?? null) as string | number | boolean | null)
}

/** One YAML document. The same value gives the same bytes. */
export function yamlText(value: object): string {
  return isEmpty(value) ? (Array.isArray(value) ? '[]\n' : '{}\n') : `${linesOf(value, '').join('\n')}\n`
}

/** A stream of YAML documents: each begins with `---`. */
export function yamlStream(documents: readonly object[]): string {
  return documents.map((document) => `---\n${yamlText(document)}`).join('')
}
