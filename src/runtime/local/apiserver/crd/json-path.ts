import { isObject } from '../json.ts'

type Step = (values: unknown[]) => unknown[]

// A dot in a name is written with a backslash before it.
const token =
  /\.?((?:[A-Za-z_$]|\\\.)(?:[\w$/-]|\\\.)*|\*)|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[(-?\d+)\]|\[\*\]|\[\?\(([^\]]*)\)\]/y

function field(name: string): Step {
  return (values) =>
    values.flatMap((value) => {
      if (name === '*') return isObject(value) ? Object.values(value) : Array.isArray(value) ? value : []
      const found = isObject(value) ? value[name] : undefined
      return found === undefined ? [] : [found]
    })
}

function index(position: number): Step {
  return (values) =>
    values.flatMap((value) => {
      const found: unknown = Array.isArray(value) ? value.at(position) : undefined
      return found === undefined ? [] : [found]
    })
}

const filterPattern = /^@((?:\.[\w$-]+)+)\s*(==|!=)\s*(?:'([^']*)'|"([^"]*)"|(-?\d+|true|false))$/

function filter(text: string): Step | undefined {
  const match = filterPattern.exec(text.trim())
  if (!match) return undefined
  const path = (match[1] ?? '').split('.').slice(1).map(field)
  const expected = match[3] ?? match[4] ?? match[5] ?? ''
  const isNegated = match[2] === '!='
  return (values) =>
    values.flatMap((value) =>
      (Array.isArray(value) ? value : []).filter((item: unknown) => {
        const [found] = path.reduce<unknown[]>((sofar, step) => step(sofar), [item])
        return (String(found) === expected) !== isNegated
      }),
    )
}

function stepOf(match: RegExpExecArray): Step | undefined {
  const [whole, name, single, double, position, condition] = match
  if (condition !== undefined) return filter(condition)
  if (position !== undefined) return index(Number(position))
  if (whole === '[*]') return field('*')
  const text = name ?? single ?? double
  return text === undefined ? undefined : field(text.replace(/\\(.)/g, '$1'))
}

/**
 * Compiles the JSONPath of a printer column: fields, indexes, `[*]` and filters by equality.
 * @returns undefined for an expression that is not understood
 */
export function compileJsonPath(expression: string): ((value: unknown) => unknown[]) | undefined {
  const text = expression.replace(/^\{(.*)\}$/, '$1').replace(/^\$/, '')
  const steps: Step[] = []
  token.lastIndex = 0
  while (token.lastIndex < text.length) {
    const match = token.exec(text)
    const step = match && stepOf(match)
    if (!step) return undefined
    steps.push(step)
  }
  return (value) => steps.reduce<unknown[]>((values, step) => step(values), [value])
}
