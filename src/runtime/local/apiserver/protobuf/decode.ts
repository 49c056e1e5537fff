import {
  type FieldType,
  type MessageType,
  messageType,
  type ScalarType,
  typeOfKind,
} from '../schema/types.ts'
import { badRequest, StatusError } from '../status.ts'
import { readFields, type WireField } from './reader.ts'

const magic = Buffer.from('k8s\0')

/**
 * Numbers and booleans that Go writes although they are not set, because their fields are no pointers. Zero there
 * means absent; everywhere else it is a value.
 */
const zeroMeansAbsent = new Set([
  'failureThreshold',
  'generation',
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'hostPort',
  'initialDelaySeconds',
  'minReadySeconds',
  'nodePort',
  'observedGeneration',
  'paused',
  'periodSeconds',
  'publishNotReadyAddresses',
  'readOnly',
  'stdin',
  'stdinOnce',
  'successThreshold',
  'timeoutSeconds',
  'tty',
])

function text(field: WireField): string {
  return field.kind === 'bytes' ? Buffer.from(field.value).toString() : ''
}

function integer(field: WireField): number {
  return field.kind === 'varint' ? Number(field.value) : 0
}

/** `{ seconds: 1, nanos: 2 }` as RFC 3339; undefined for the empty message, which is the zero time. */
function time(field: WireField, digits: number): string | undefined {
  if (field.kind !== 'bytes') return undefined
  let seconds: number | undefined
  let nanos = 0
  for (const part of readFields(field.value)) {
    if (part.number === 1) seconds = integer(part)
    if (part.number === 2) nanos = integer(part)
  }
  if (seconds === undefined) return undefined
  const base = new Date(seconds * 1000).toISOString().slice(0, 19)
  return digits === 0 ? `${base}Z` : `${base}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`
}

function firstText(field: WireField, number: number): string {
  if (field.kind !== 'bytes') return ''
  for (const part of readFields(field.value)) if (part.number === number) return text(part)
  return ''
}

/** `{ type: 1, intVal: 2, strVal: 3 }`. */
function intOrString(field: WireField): number | string {
  if (field.kind !== 'bytes') return 0
  const parts = new Map([...readFields(field.value)].map((part) => [part.number, part]))
  const type = parts.get(1)
  const isText = type !== undefined && integer(type) === 1
  const part = parts.get(isText ? 3 : 2)
  return part === undefined ? (isText ? '' : 0) : isText ? text(part) : integer(part)
}

function json(value: string): unknown {
  if (value === '') return undefined
  try {
    return JSON.parse(value) as unknown
  } catch {
    throw badRequest('the protobuf body holds a value that is not JSON')
  }
}

const scalars: Record<ScalarType, (field: WireField) => unknown> = {
  string: text,
  bytes: (field) => (field.kind === 'bytes' ? Buffer.from(field.value).toString('base64') : undefined),
  bool: (field) => integer(field) !== 0,
  int32: integer,
  int64: integer,
  double: (field) => (field.kind === 'fixed64' ? field.value.getFloat64(0, true) : 0),
  Time: (field) => time(field, 0),
  MicroTime: (field) => time(field, 6),
  Duration: () => undefined,
  Quantity: (field) => firstText(field, 1),
  IntOrString: intOrString,
  Raw: (field) => json(firstText(field, 1)),
  Json: (field) => json(firstText(field, 1)),
  Any: () => undefined,
}

function decodeValue(field: WireField, type: FieldType): unknown {
  switch (type.kind) {
    case 'scalar':
      return scalars[type.scalar](field)
    case 'message':
      return field.kind === 'bytes' ? decodeMessage(field.value, messageType(type.type)) : {}
    case 'list':
      return decodeValue(field, type.item)
    case 'map':
      return undefined
  }
}

function isAbsent(name: string, value: unknown): boolean {
  if (value === undefined || value === '') return true
  return (value === 0 || value === false) && zeroMeansAbsent.has(name)
}

function addMapEntry(result: Record<string, unknown>, name: string, field: WireField, type: FieldType): void {
  if (field.kind !== 'bytes') return
  const parts = new Map([...readFields(field.value)].map((part) => [part.number, part]))
  const key = parts.get(1)
  const value = parts.get(2)
  const entries = (result[name] ?? {}) as Record<string, unknown>
  entries[key === undefined ? '' : text(key)] = value === undefined ? '' : decodeValue(value, type)
  result[name] = entries
}

/** A message as the JSON that it stands for. */
function decodeMessage(bytes: Uint8Array, type: MessageType): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const wire of readFields(bytes)) {
    const embedded = type.embedded.get(wire.number)
    if (embedded !== undefined && wire.kind === 'bytes') {
      Object.assign(result, decodeMessage(wire.value, messageType(embedded)))
      continue
    }
    const field = type.numbers.get(wire.number)
    if (!field) continue
    if (field.type.kind === 'map') {
      addMapEntry(result, field.name, wire, field.type.value)
      continue
    }
    const value = decodeValue(wire, field.type)
    if (field.type.kind === 'list') result[field.name] = [...((result[field.name] as unknown[]) ?? []), value]
    else if (!isAbsent(field.name, value)) result[field.name] = value
  }
  return result
}

/**
 * Decodes a body of `application/vnd.kubernetes.protobuf`: the magic bytes, then an envelope with the type and the
 * message of a built-in kind.
 * @throws KubeError 400 when it is malformed, 415 for a kind that is not known
 */
export function decodeProtobufObject(body: Uint8Array): unknown {
  if (!magic.equals(body.subarray(0, 4)))
    throw badRequest('the protobuf body does not begin with the magic bytes')
  let apiVersion = ''
  let kind = ''
  let raw: Uint8Array = new Uint8Array()
  for (const field of readFields(body.subarray(4))) {
    if (field.kind !== 'bytes') continue
    if (field.number === 2) raw = field.value
    if (field.number !== 1) continue
    apiVersion = firstText(field, 1)
    kind = firstText(field, 2)
  }
  const type = typeOfKind(kind)
  if (!type) {
    const message = `protobuf bodies of ${apiVersion}, Kind=${kind} are not understood here; use \`kubectl apply -f\` or \`kubectl create -f\` with a file instead`
    throw new StatusError(415, 'UnsupportedMediaType', message)
  }
  return { apiVersion, kind, ...decodeMessage(raw, type) }
}
