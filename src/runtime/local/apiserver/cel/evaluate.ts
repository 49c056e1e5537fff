import { isObject } from '../json.ts'
import { functions, methods, operators } from './functions.ts'
import { type Expression, parseCel } from './parse.ts'
import { CelError } from './tokens.ts'

type Variables = Record<string, unknown>

function fieldOf(object: unknown, name: string): unknown {
  // Names that are not identifiers are escaped in Kubernetes: `__dot__`, `__dash__` and so on.
  const key = name
    .replace(/__dot__/g, '.')
    .replace(/__dash__/g, '-')
    .replace(/__slash__/g, '/')
    .replace(/__underscores__/g, '__')
  const plain = isObject(object) && name in object ? name : key
  if (!isObject(object) || object[plain] === undefined) throw new CelError(`no such key: ${name}`)
  return object[plain]
}

function indexOf(object: unknown, index: unknown): unknown {
  if (Array.isArray(object)) {
    const found: unknown = typeof index === 'number' ? object[index] : undefined
    if (found === undefined) throw new CelError(`index out of bounds: ${String(index)}`)
    return found
  }
  return fieldOf(object, String(index))
}

function isTrue(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new CelError('a boolean is needed')
  return value
}

/** `&&` and `||` hold when either side decides, even if the other fails. */
function logical(operator: string, left: Expression, right: Expression, variables: Variables): boolean {
  const decisive = operator === '||'
  const sides = [left, right].map((side) => {
    try {
      return { value: isTrue(evaluate(side, variables)) }
    } catch (error) {
      return { error }
    }
  })
  if (sides.some((side) => side.value === decisive)) return decisive
  const failed = sides.find((side) => 'error' in side)
  if (failed) throw failed.error
  return !decisive
}

function has(parameters: Expression[], variables: Variables): boolean {
  const [path] = parameters
  if (path?.kind !== 'field') throw new CelError('has() needs a field')
  const object = evaluate(path.object, variables)
  return isObject(object) && object[path.name] !== undefined && object[path.name] !== null
}

/** The elements that a macro goes over: items of a list, keys of a map. */
function elementsOf(target: unknown): unknown[] {
  if (Array.isArray(target)) return target
  if (isObject(target)) return Object.keys(target)
  throw new CelError('a list or a map is needed')
}

type Macro = (items: unknown[], test: (item: unknown) => unknown) => unknown

const macros: Record<string, Macro> = {
  all: (items, test) => items.every((item) => isTrue(test(item))),
  exists: (items, test) => items.some((item) => isTrue(test(item))),
  exists_one: (items, test) => items.filter((item) => isTrue(test(item))).length === 1,
  filter: (items, test) => items.filter((item) => isTrue(test(item))),
  map: (items, test) => items.map(test),
}

function callMacro(
  macro: Macro,
  target: Expression,
  parameters: Expression[],
  variables: Variables,
): unknown {
  const [variable, body, mapped] = parameters
  if (variable?.kind !== 'name' || !body) throw new CelError('a macro needs a variable and an expression')
  const items = elementsOf(evaluate(target, variables))
  const within = (item: unknown) => ({ ...variables, [variable.name]: item })
  if (!mapped) return macro(items, (item) => evaluate(body, within(item)))
  const kept = items.filter((item) => isTrue(evaluate(body, within(item))))
  return macro(kept, (item) => evaluate(mapped, within(item)))
}

function call(expression: Extract<Expression, { kind: 'call' }>, variables: Variables): unknown {
  const { target, name, parameters } = expression
  const values = () => parameters.map((parameter) => evaluate(parameter, variables))
  if (!target) {
    if (name === 'has') return has(parameters, variables)
    const known = functions[name]
    if (!known) throw new CelError(`unknown function ${name}()`)
    return known(...values())
  }
  const macro = macros[name]
  if (macro) return callMacro(macro, target, parameters, variables)
  const method = methods[name]
  if (!method) throw new CelError(`unknown method ${name}()`)
  return method(evaluate(target, variables), ...values())
}

function unary(operator: string, value: unknown): unknown {
  if (operator === '!') return !isTrue(value)
  if (typeof value !== 'number') throw new CelError('a number is needed')
  return -value
}

function variable(name: string, variables: Variables): unknown {
  if (!(name in variables)) throw new CelError(`undeclared reference to ${name}`)
  return variables[name]
}

function evaluate(expression: Expression, variables: Variables): unknown {
  switch (expression.kind) {
    case 'literal':
      return expression.value
    case 'name':
      return variable(expression.name, variables)
    case 'list':
      return expression.items.map((item) => evaluate(item, variables))
    case 'map':
      return Object.fromEntries(
        expression.entries.map(([key, value]) => [
          String(evaluate(key, variables)),
          evaluate(value, variables),
        ]),
      )
    case 'field':
      return fieldOf(evaluate(expression.object, variables), expression.name)
    case 'index':
      return indexOf(evaluate(expression.object, variables), evaluate(expression.index, variables))
    case 'call':
      return call(expression, variables)
    case 'unary':
      return unary(expression.operator, evaluate(expression.operand, variables))
    case 'choice':
      return isTrue(evaluate(expression.condition, variables))
        ? evaluate(expression.yes, variables)
        : evaluate(expression.no, variables)
    case 'binary': {
      const { operator, left, right } = expression
      if (operator === '&&' || operator === '||') return logical(operator, left, right, variables)
      const apply = operators[operator]
      if (!apply) throw new CelError(`unknown operator ${operator}`)
      return apply(evaluate(left, variables), evaluate(right, variables))
    }
  }
}

const parsed = new Map<string, Expression>()
const maxParsed = 1000

/**
 * Evaluates an expression of the Common Expression Language, as far as Kubernetes manifests commonly use it: no
 * durations, quantities, URLs or authorizer.
 * @throws CelError for what is no expression, is not known here, or fails (a missing field, a wrong type)
 */
export function evaluateCel(source: string, variables: Variables): unknown {
  let expression = parsed.get(source)
  if (!expression) {
    expression = parseCel(source)
    if (parsed.size >= maxParsed) parsed.clear()
    parsed.set(source, expression)
  }
  return evaluate(expression, variables)
}
