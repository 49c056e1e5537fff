import { CelError, type Token, tokenize } from './tokens.ts'

/** The tree of an expression. */
export type Expression =
  | { kind: 'literal'; value: unknown }
  | { kind: 'name'; name: string }
  | { kind: 'list'; items: Expression[] }
  | { kind: 'map'; entries: [Expression, Expression][] }
  | { kind: 'field'; object: Expression; name: string }
  | { kind: 'index'; object: Expression; index: Expression }
  | { kind: 'call'; target: Expression | undefined; name: string; parameters: Expression[] }
  | { kind: 'unary'; operator: string; operand: Expression }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'choice'; condition: Expression; yes: Expression; no: Expression }

// Weakest first; see https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax.
const levels: string[][] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<', '<=', '>', '>=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
]

const constants: Record<string, unknown> = { true: true, false: false, null: null }

class Parser {
  readonly #tokens: Token[]
  #position = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  whole(): Expression {
    const expression = this.#choice()
    if (this.#peek().kind !== 'end') throw new CelError(`unexpected ${this.#peek().text}`)
    return expression
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? { kind: 'end', text: '' }
  }

  #next(): Token {
    const token = this.#peek()
    this.#position += 1
    return token
  }

  #take(text: string): boolean {
    const token = this.#peek()
    if (token.kind === 'string' || token.text !== text) return false
    this.#position += 1
    return true
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new CelError(`expected ${text}, found ${this.#peek().text || 'the end'}`)
  }

  #choice(): Expression {
    const condition = this.#level(0)
    if (!this.#take('?')) return condition
    const yes = this.#level(0)
    this.#expect(':')
    return { kind: 'choice', condition, yes, no: this.#choice() }
  }

  #level(depth: number): Expression {
    const operators = levels[depth]
    if (!operators) return this.#unary()
    let left = this.#level(depth + 1)
    for (;;) {
      const operator = operators.find((candidate) => this.#take(candidate))
      if (operator === undefined) return left
      left = { kind: 'binary', operator, left, right: this.#level(depth + 1) }
    }
  }

  #unary(): Expression {
    const operator = ['!', '-'].find((candidate) => this.#take(candidate))
    return operator === undefined ? this.#member() : { kind: 'unary', operator, operand: this.#unary() }
  }

  #member(): Expression {
    let object = this.#primary()
    for (;;) {
      if (this.#take('.')) object = this.#afterDot(object)
      else if (this.#take('[')) {
        const index = this.#choice()
        this.#expect(']')
        object = { kind: 'index', object, index }
      } else return object
    }
  }

  #afterDot(object: Expression): Expression {
    const token = this.#next()
    if (token.kind !== 'name') throw new CelError(`expected a name after the dot, found ${token.text}`)
    if (!this.#take('(')) return { kind: 'field', object, name: token.text }
    return { kind: 'call', target: object, name: token.text, parameters: this.#list(')') }
  }

  #primary(): Expression {
    const token = this.#next()
    if (token.kind === 'number' || token.kind === 'string') return { kind: 'literal', value: token.value }
    if (token.kind === 'name') return this.#named(token.text)
    if (token.text === '(') {
      const inner = this.#choice()
      this.#expect(')')
      return inner
    }
    if (token.text === '[') return { kind: 'list', items: this.#list(']') }
    if (token.text === '{') return { kind: 'map', entries: this.#entries() }
    throw new CelError(`unexpected ${token.text || 'end'}`)
  }

  #named(name: string): Expression {
    if (name in constants) return { kind: 'literal', value: constants[name] }
    if (!this.#take('(')) return { kind: 'name', name }
    return { kind: 'call', target: undefined, name, parameters: this.#list(')') }
  }

  #list(end: string): Expression[] {
    const items: Expression[] = []
    while (!this.#take(end)) {
      items.push(this.#choice())
      if (!this.#take(',')) {
        this.#expect(end)
        return items
      }
    }
    return items
  }

  #entries(): [Expression, Expression][] {
    const entries: [Expression, Expression][] = []
    while (!this.#take('}')) {
      const key = this.#choice()
      this.#expect(':')
      entries.push([key, this.#choice()])
      if (!this.#take(',')) {
        this.#expect('}')
        return entries
      }
    }
    return entries
  }
}

/** @throws CelError when it is not an expression */
export function parseCel(source: string): Expression {
  return new Parser(tokenize(source)).whole()
}
