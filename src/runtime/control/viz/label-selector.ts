/** Whether labels satisfy a selector. */
export type LabelTest = (labels: Readonly<Record<string, string>>) => boolean

const key = '[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?'
const value = '[A-Za-z0-9]?[-A-Za-z0-9_.]*'
const setTerm = new RegExp(String.raw`^(${key})\s+(in|notin)\s*\(([^()]*)\)$`)
const equalTerm = new RegExp(String.raw`^(${key})\s*(==|=|!=)\s*(${value})$`)
const existsTerm = new RegExp(String.raw`^(!?)\s*(${key})$`)

/**
 * Reads a selector in the grammar of `kubectl -l`: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, with commas.
 * @throws {RangeError} naming the part that cannot be read
 */
export function parseLabelSelector(text: string): LabelTest {
  const tests = text
    .split(/,(?![^()]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '')
    .map(parseTerm)
  return (labels) => tests.every((test) => test(labels))
}

function parseTerm(term: string): LabelTest {
  const equal = equalTerm.exec(term)
  if (equal !== null) {
    const [, name = '', , operator, wanted] = equal
    return operator === '!=' ? (labels) => labels[name] !== wanted : (labels) => labels[name] === wanted
  }
  const set = setTerm.exec(term)
  if (set !== null) {
    const [, name = '', , operator, list = ''] = set
    const values = list.split(',').map((item) => item.trim())
    const isIn: LabelTest = (labels) => labels[name] !== undefined && values.includes(labels[name])
    return operator === 'in' ? isIn : (labels) => !isIn(labels)
  }
  const exists = existsTerm.exec(term)
  if (exists !== null) {
    const [, negation, name = ''] = exists
    return negation === '!' ? (labels) => labels[name] === undefined : (labels) => labels[name] !== undefined
  }
  throw new RangeError(`the selector has a part that cannot be read: ${JSON.stringify(term)}`)
}
