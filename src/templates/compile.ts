import { isMap, isScalar, isSeq, type Node, parseDocument } from 'yaml'

/**
 * Compiles a template ahead of time to JavaScript that makes the object directly: without Handlebars, and without
 * reading YAML. Programs that are bundled render this way; the result is the same, and a test proves it.
 *
 * It knows what our templates use: `{{json path}}` as a whole scalar, and on lines of their own `{{#if path}}`,
 * `{{else}}`, `{{/if}}`, `{{#each path}}`, `{{/each}}` around whole entries, and `{{> partial name=value}}`.
 */

const jsonPattern = /\{\{json ([\w.]+)\}\}/g
/** A value beside other text: YAML would see a plain scalar with quotes in it. */
const partOfScalar = /[^\s[,]\{\{json|\{\{json [\w.]+\}\}[^\s\],]/
const partialPattern = /^( *)\{\{> ([\w-]+)((?: [\w-]+=(?:'[^']*'|\d+))*)\}\}$/
const openPattern = /^\{\{#(if|each) ([\w.]+)\}\}$/
const closePattern = /^\{\{\/(if|each)\}\}$/

/** Where a block line stood, as an entry of the list or the map that it is in. */
const markerPrefix = '\u0001'
const valuePrefix = '\u0002'

interface Marker {
  kind: 'if' | 'else' | 'each' | 'end'
  path: string
}

/**
 * @param text of the template
 * @param partials texts by name
 * @returns the source of a function from the context to the object, or to `undefined` when all of it was left out. It
 * uses `value(value, path)` and `isTrue(value)`
 * @throws Error for anything that the templates of mesh do not use
 */
export function compileTemplate(text: string, partials: ReadonlyMap<string, string>): string {
  const lines = markBlocks(expandPartials(text, partials))
  const document = parseDocument(lines.join('\n'), { uniqueKeys: true })
  const [problem] = document.errors
  if (problem !== undefined) throw problem
  return `(c) => ${nodeSource(document.contents as Node | null, true)}`
}

function expandPartials(text: string, partials: ReadonlyMap<string, string>): string[] {
  return text.split('\n').flatMap((line) => {
    const match = partialPattern.exec(line)
    if (match === null) return [line]
    const [, indent = '', name = '', parameters = ''] = match
    let partial = partials.get(name)
    if (partial === undefined) throw new Error(`no partial ${name}`)
    for (const [, key, quoted, number] of parameters.matchAll(/ ([\w-]+)=(?:'([^']*)'|(\d+))/g)) {
      partial = partial.replaceAll(`{{json ${key}}}`, number ?? JSON.stringify(quoted))
    }
    return expandPartials(partial.replace(/\n$/, ''), partials).map((below) =>
      below === '' ? below : indent + below,
    )
  })
}

/** Turns block lines into entries of the list or map that they stand in, and values into scalars. */
function markBlocks(lines: readonly string[]): string[] {
  const open: { indent: string; isItem: boolean }[] = []
  let count = 0
  const marker = (marked: Marker, place: { indent: string; isItem: boolean }) => {
    const text = JSON.stringify(`${markerPrefix}${marked.kind}:${marked.path}:${count++}`)
    return place.isItem ? `${place.indent}- ${text}` : `${place.indent}${text}: 0`
  }
  return lines.map((line, index) => {
    const word = line.trim()
    const opened = openPattern.exec(word)
    if (opened !== null) {
      const place = placeOf(lines.slice(index + 1))
      open.push(place)
      return marker({ kind: opened[1] as 'if' | 'each', path: opened[2] ?? '' }, place)
    }
    if (word === '{{else}}') return marker({ kind: 'else', path: '' }, innermost(open))
    if (closePattern.test(word)) {
      const place = innermost(open)
      open.pop()
      return marker({ kind: 'end', path: '' }, place)
    }
    const marked = line.replace(jsonPattern, (_, path: string) => JSON.stringify(valuePrefix + path))
    if (/\{\{[^"]/.test(marked) || partOfScalar.test(line)) throw new Error(`cannot compile: ${word}`)
    return marked
  })
}

function innermost<T>(open: readonly T[]): T {
  const last = open.at(-1)
  if (last === undefined) throw new Error('a block is closed that was not opened')
  return last
}

/** A block stands where its first line stands. */
function placeOf(following: readonly string[]): { indent: string; isItem: boolean } {
  const line = following.find((text) => text.trim() !== '' && !/^\s*(\{\{|#)/.test(text))
  if (line === undefined) throw new Error('a block is empty')
  const indent = /^ */.exec(line)?.[0] ?? ''
  return { indent, isItem: line.startsWith(`${indent}- `) }
}

function nodeSource(node: Node | null, isRoot = false): string {
  if (isMap(node)) {
    const entries = node.items.map(({ key, value }) => ({
      text: String(isScalar(key) ? key.value : key),
      source: `${JSON.stringify(isScalar(key) ? key.value : key)}: ${nodeSource(value as Node | null)}`,
    }))
    const source = `{ ${blockSource(entries, '{}')} }`
    return isRoot ? `whole(${source})` : `(${source})`
  }
  if (isSeq(node)) {
    const entries = node.items.map((item) => ({
      text: isScalar(item) ? String(item.value) : '',
      source: nodeSource(item as Node),
    }))
    return `[ ${blockSource(entries, '[]')} ]`
  }
  if (!isScalar(node)) return 'null'
  const { value } = node
  if (typeof value === 'string' && value.startsWith(valuePrefix)) {
    return valueSource(value.slice(valuePrefix.length))
  }
  return JSON.stringify(value)
}

function valueSource(path: string): string {
  return `value(${accessSource(path)}, ${JSON.stringify(path)})`
}

function accessSource(path: string): string {
  return `c.${path.replaceAll('.', '?.')}`
}

/** Entries with blocks among them: a block is spread when it holds. */
function blockSource(entries: readonly { text: string; source: string }[], empty: '{}' | '[]'): string {
  const [left, right] = empty
  let source = ''
  const kinds: ('if' | 'else' | 'each')[] = []
  for (const { text, source: own } of entries) {
    const [, kind, path = ''] = new RegExp(`^${markerPrefix}(\\w+):([\\w.]*):`).exec(text) ?? []
    if (kind === 'if') source += `...(isTrue(${accessSource(path)}) ? ${left}`
    else if (kind === 'else') source += `${right} : ${left}`
    else if (kind === 'each') source += `...(${accessSource(path)}).flatMap((c) => ${left}`
    else if (kind === 'end') source += kinds.at(-1) === 'if' ? `${right} : ${empty}), ` : `${right}), `
    else source += `${own}, `
    if (kind === 'if' || kind === 'each') kinds.push(kind)
    if (kind === 'else') kinds[kinds.length - 1] = 'else'
    if (kind === 'end') kinds.pop()
  }
  return source
}

/** What the compiled source calls. */
export const compiledRuntime = `
function value(given, path) {
  if (given === undefined) throw new Error('"' + path + '" not defined')
  return typeof given === 'object' && given !== null ? structuredClone(given) : given
}
function isTrue(given) {
  return Array.isArray(given) ? given.length > 0 : Boolean(given)
}
function whole(object) {
  return Object.keys(object).length === 0 ? undefined : object
}
`
