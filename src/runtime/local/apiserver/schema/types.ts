import { builtinTypes } from './builtin-types.ts'

/** The types that are not made of fields. */
export type ScalarType =
  | 'string'
  | 'bytes'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'double'
  | 'Time'
  | 'MicroTime'
  | 'Duration'
  | 'Quantity'
  | 'IntOrString'
  | 'Raw'
  | 'Json'
  | 'Any'

/** What a field holds. */
export type FieldType =
  | { kind: 'scalar'; scalar: ScalarType }
  | { kind: 'message'; type: string }
  | { kind: 'list'; item: FieldType }
  | { kind: 'map'; value: FieldType }

export interface Field {
  /** In JSON. */
  name: string
  /** In protobuf. */
  number: number
  type: FieldType
  required: boolean
}

/** A type with fields. */
export interface MessageType {
  name: string
  /** By JSON name, those of embedded messages too. */
  fields: ReadonlyMap<string, Field>
  /** By protobuf number; embedded messages are in `embedded`. */
  numbers: ReadonlyMap<number, Field>
  /** Messages whose fields are written into this one in JSON, by protobuf number. */
  embedded: ReadonlyMap<number, string>
}

const embeddedName = '~'

function parseType(text: string): FieldType {
  if (text.endsWith('*')) return { kind: 'list', item: parseType(text.slice(0, -1)) }
  if (text.startsWith('{')) return { kind: 'map', value: parseType(text.slice(1, -1)) }
  if (text in builtinTypes) return { kind: 'message', type: text }
  return { kind: 'scalar', scalar: text as ScalarType }
}

function parseField(text: string): Field {
  const [name = '', number = '0', type = 'Any'] = text.split(':')
  const required = type.endsWith('!')
  return { name, number: Number(number), type: parseType(required ? type.slice(0, -1) : type), required }
}

function parseMessage(name: string, text: string): MessageType {
  const fields = new Map<string, Field>()
  const numbers = new Map<number, Field>()
  const embedded = new Map<number, string>()
  for (const part of text.split(' ').filter((item) => item !== '')) {
    const field = parseField(part)
    if (field.name === embeddedName && field.type.kind === 'message') {
      embedded.set(field.number, field.type.type)
      for (const [inner, value] of messageType(field.type.type).fields) fields.set(inner, value)
    } else {
      fields.set(field.name, field)
      numbers.set(field.number, field)
    }
  }
  return { name, fields, numbers, embedded }
}

const parsed = new Map<string, MessageType>()

/** A type by its name in {@link builtinTypes}; without fields when it is unknown. */
export function messageType(name: string): MessageType {
  let type = parsed.get(name)
  if (!type) {
    type = parseMessage(name, builtinTypes[name] ?? '')
    parsed.set(name, type)
  }
  return type
}

/** The type of a built-in kind; undefined when there is none. */
export function typeOfKind(kind: string): MessageType | undefined {
  return kind in builtinTypes ? messageType(kind) : undefined
}
