import { stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { ageOf } from './age.ts'

export type Cell = string | number | boolean | null

/** One column of the Table answer, see https://kubernetes.io/docs/reference/using-api/api-concepts/. */
export interface Column {
  name: string
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  format: string
  description: string
  /** 0 is always shown, others with `-o wide`. */
  priority: number
  cell(object: StoredObject, nowMs: number): Cell
}

type CellFunction = Column['cell']

/** A text column that is always shown. */
export function text(name: string, cell: CellFunction): Column {
  return { name, type: 'string', format: '', description: '', priority: 0, cell }
}

/** A text column that is shown with `-o wide`. */
export function wide(name: string, cell: CellFunction): Column {
  return { ...text(name, cell), priority: 1 }
}

/** A number column that is always shown. */
export function count(name: string, path: string, otherwise = 0): Column {
  const keys = path.split('.')
  return {
    ...text(name, (object) => {
      const value = valueAt(object, keys)
      return typeof value === 'number' ? value : otherwise
    }),
    type: 'integer',
  }
}

/** A text column with the value at a dotted path. */
export function field(name: string, path: string, otherwise = '<none>'): Column {
  const keys = path.split('.')
  return text(name, (object) => {
    const value = valueAt(object, keys)
    return value === undefined || value === null || value === '' ? otherwise : String(value)
  })
}

export const nameColumn: Column = { ...text('Name', (object) => object.metadata.name), format: 'name' }

export const ageColumn: Column = text('Age', (object, nowMs) =>
  ageOf(object.metadata.creationTimestamp, nowMs),
)

/** The columns of kinds that have no better ones. */
export const defaultColumns: Column[] = [
  nameColumn,
  { ...text('Created At', (object) => object.metadata.creationTimestamp ?? null), type: 'date' },
]

/** `a=b,c=d`, or `<none>`. */
export function labelText(labels: unknown): string {
  const pairs = Object.entries((labels ?? {}) as Record<string, string>)
  if (pairs.length === 0) return '<none>'
  return pairs
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',')
}

/** A LabelSelector as text. */
export function selectorText(selector: unknown): string {
  const parts = labelText(valueAt(selector, ['matchLabels']))
  const expressions = valueAt(selector, ['matchExpressions'])
  const extra = (Array.isArray(expressions) ? expressions : []).map((expression: unknown) => {
    const key = stringAt(expression, ['key']) ?? ''
    const values = ((valueAt(expression, ['values']) as string[] | undefined) ?? []).join(',')
    switch (stringAt(expression, ['operator']) ?? '') {
      case 'In':
        return `${key} in (${values})`
      case 'NotIn':
        return `${key} notin (${values})`
      case 'Exists':
        return key
      default:
        return `!${key}`
    }
  })
  return [...(parts === '<none>' && extra.length > 0 ? [] : [parts]), ...extra].join(',')
}
