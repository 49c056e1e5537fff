import { type Field, type FieldType, type MessageType, messageType, type ScalarType } from './types.ts'

type Schema = Record<string, unknown>

const prefix = 'io.k8s.api.'

const scalarSchemas: Record<ScalarType, Schema> = {
  string: { type: 'string' },
  bytes: { type: 'string', format: 'byte' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  Time: { type: 'string', format: 'date-time' },
  MicroTime: { type: 'string', format: 'date-time' },
  Duration: { type: 'string' },
  Quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  IntOrString: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  Raw: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  Json: { 'x-kubernetes-preserve-unknown-fields': true },
  Any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
}

function fieldSchema(type: FieldType, used: Set<string>): Schema {
  switch (type.kind) {
    case 'scalar':
      return scalarSchemas[type.scalar]
    case 'message':
      used.add(type.type)
      return { allOf: [{ $ref: `#/components/schemas/${prefix}${type.type}` }] }
    case 'list':
      return { type: 'array', items: fieldSchema(type.item, used) }
    case 'map':
      return { type: 'object', additionalProperties: fieldSchema(type.value, used) }
  }
}

/** OpenAPI v3 schema of a type; the types that it names are added to `used`. */
export function typeSchema(type: MessageType, used: Set<string>): Schema {
  const fields: Field[] = [...type.fields.values()]
  const required = fields.filter((field) => field.required).map((field) => field.name)
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field.type, used)])),
    ...(required.length > 0 ? { required } : {}),
  }
}

/** The schemas of types and of all that they name, by their names in a document. */
export function referencedSchemas(names: Iterable<string>): Record<string, Schema> {
  const schemas: Record<string, Schema> = {}
  const todo = [...names]
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    const key = prefix + name
    if (schemas[key]) continue
    const used = new Set<string>()
    schemas[key] = typeSchema(messageType(name), used)
    todo.push(...used)
  }
  return schemas
}
