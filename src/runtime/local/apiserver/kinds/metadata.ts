import { isObject } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { KindDefinition } from '../registry/definition.ts'
import type { FieldError } from '../status.ts'
import {
  immutable,
  invalidValue,
  isDns1035Label,
  isDnsLabel,
  isDnsSubdomain,
  isQualifiedName,
  labelMessage,
  required,
  subdomainMessage,
  typeInvalid,
  validateLabels,
} from './validation.ts'

const maxAnnotationBytes = 256 * 1024
const pathNameKinds = new Set(['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'])

function validateName(definition: KindDefinition, name: string): FieldError[] {
  const field = 'metadata.name'
  const { kind } = definition.resource
  if (pathNameKinds.has(kind)) {
    const isBad = name === '.' || name === '..' || name.includes('/') || name.includes('%')
    return isBad ? [invalidValue(field, name, "may not be '.' or '..' and may not contain '/' or '%'")] : []
  }
  if (kind === 'Service' && !isDns1035Label(name)) {
    const why =
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"
    return [invalidValue(field, name, why)]
  }
  if (kind === 'Namespace' && !isDnsLabel(name)) return [invalidValue(field, name, labelMessage)]
  return isDnsSubdomain(name) ? [] : [invalidValue(field, name, subdomainMessage)]
}

function validateAnnotations(annotations: unknown): FieldError[] {
  const field = 'metadata.annotations'
  if (annotations === undefined || annotations === null) return []
  if (!isObject(annotations)) return [typeInvalid(field, annotations, 'must be an object of strings')]
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries(annotations)) {
    if (!isQualifiedName(key.toLowerCase())) errors.push(invalidValue(field, key, 'is not a qualified name'))
    if (typeof value !== 'string') errors.push(typeInvalid(`${field}.${key}`, value, 'must be a string'))
    else size += key.length + value.length
  }
  if (size > maxAnnotationBytes) {
    errors.push({
      field,
      reason: 'FieldValueInvalid',
      message: `Too long: may not be more than ${maxAnnotationBytes} bytes`,
    })
  }
  return errors
}

/** Errors of the metadata of any object. */
export function validateMetadata(
  definition: KindDefinition,
  object: StoredObject,
  old: StoredObject | undefined,
): FieldError[] {
  const { metadata } = object
  const errors: FieldError[] = []
  if (!metadata.name) errors.push(required('metadata.name', 'name or generateName is required'))
  else if (!old) errors.push(...validateName(definition, metadata.name))
  errors.push(
    ...validateLabels(metadata.labels, 'metadata.labels'),
    ...validateAnnotations(metadata.annotations),
  )
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!owner[key]) errors.push(required(`metadata.ownerReferences[${index}].${key}`))
    }
  }
  for (const finalizer of metadata.finalizers ?? []) {
    if (!isQualifiedName(finalizer))
      errors.push(
        invalidValue(
          'metadata.finalizers',
          finalizer,
          'name is neither a standard finalizer name nor is it fully qualified',
        ),
      )
  }
  if (old && object.metadata.uid !== undefined) errors.push(...immutable(object, old, ['metadata', 'uid']))
  return errors
}
