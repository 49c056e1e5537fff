import { isObject, jsonEqual } from '../json.ts'
import { CelError } from './tokens.ts'

export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return [...value].length
  if (Array.isArray(value)) return value.length
  if (isObject(value)) return Object.keys(value).length
  throw new CelError('size() needs a string, a list or a map')
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new CelError('a string is needed')
}

function regExp(source: string): RegExp {
  const inline = /^\(\?([ims]+)\)/.exec(source)
  return new RegExp(inline ? source.slice(inline[0].length) : source, inline?.[1] ?? '')
}

type Method = (target: unknown, ...parameters: unknown[]) => unknown

/** Methods of values. */
export const methods: Record<string, Method> = {
  startsWith: (target, prefix) => text(target).startsWith(text(prefix)),
  endsWith: (target, suffix) => text(target).endsWith(text(suffix)),
  contains: (target, part) => text(target).includes(text(part)),
  matches: (target, pattern) => regExp(text(pattern)).test(text(target)),
  size: (target) => sizeOf(target),
  lowerAscii: (target) => text(target).replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
  upperAscii: (target) => text(target).replace(/[a-z]/g, (letter) => letter.toUpperCase()),
  trim: (target) => text(target).trim(),
  split: (target, separator) => text(target).split(text(separator)),
  replace: (target, from, to) => text(target).split(text(from)).join(text(to)),
  join: (target, separator = '') => (target as unknown[]).map(text).join(text(separator)),
  indexOf: (target, part) =>
    Array.isArray(target)
      ? target.findIndex((item) => jsonEqual(item, part))
      : text(target).indexOf(text(part)),
  substring: (target, start, end) =>
    text(target).slice(Number(start), end === undefined ? undefined : Number(end)),
}

/** Functions that stand alone. */
export const functions: Record<string, (...parameters: unknown[]) => unknown> = {
  size: (value) => sizeOf(value),
  string: (value) => String(value),
  int: (value) => Math.trunc(Number(value)),
  uint: (value) => Math.trunc(Number(value)),
  double: (value) => Number(value),
  bool: (value) => value === true || value === 'true',
  dyn: (value) => value,
  type(value) {
    if (value === null) return 'null_type'
    if (Array.isArray(value)) return 'list'
    if (isObject(value)) return 'map'
    if (typeof value === 'boolean') return 'bool'
    return typeof value === 'number' ? (Number.isInteger(value) ? 'int' : 'double') : 'string'
  },
}

function numbers(left: unknown, right: unknown): [number, number] {
  if (typeof left === 'number' && typeof right === 'number') return [left, right]
  throw new CelError('two numbers are needed')
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0
  const [a, b] = numbers(left, right)
  return a - b
}

function divide(left: unknown, right: unknown): number {
  const [a, b] = numbers(left, right)
  if (b === 0) throw new CelError('division by zero')
  return Number.isInteger(a) && Number.isInteger(b) ? Math.trunc(a / b) : a / b
}

function add(left: unknown, right: unknown): unknown {
  if (typeof left === 'string' && typeof right === 'string') return left + right
  if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right]
  const [a, b] = numbers(left, right)
  return a + b
}

function isIn(item: unknown, container: unknown): boolean {
  if (Array.isArray(container)) return container.some((other) => jsonEqual(other, item))
  if (isObject(container)) return typeof item === 'string' && item in container
  throw new CelError('in needs a list or a map')
}

/** Operators on two values, without the logical ones. */
export const operators: Record<string, (left: unknown, right: unknown) => unknown> = {
  '==': jsonEqual,
  '!=': (left, right) => !jsonEqual(left, right),
  '<': (left, right) => compare(left, right) < 0,
  '<=': (left, right) => compare(left, right) <= 0,
  '>': (left, right) => compare(left, right) > 0,
  '>=': (left, right) => compare(left, right) >= 0,
  in: isIn,
  '+': add,
  '-': (left, right) => numbers(left, right).reduce((a, b) => a - b),
  '*': (left, right) => numbers(left, right).reduce((a, b) => a * b),
  '/': divide,
  '%': (left, right) => numbers(left, right).reduce((a, b) => a % b),
}
