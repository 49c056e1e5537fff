import { resources } from '../../../kube/resources.ts'
import { isObject, objectsAt, stringAt, valueAt } from '../json.ts'
import { ensureObject, setDefault } from '../kinds/pod-defaults.ts'
import { typedStrategy } from '../kinds/typed.ts'
import {
  immutable,
  invalidValue,
  isDns1035Label,
  isDnsSubdomain,
  required,
  unsupported,
} from '../kinds/validation.ts'
import type { StoredObject } from '../objects.ts'
import { builtinMergeSchema } from '../patch/builtin-schema.ts'
import { defineKind, type KindDefinition } from '../registry/definition.ts'
import type { FieldError } from '../status.ts'
import { roleColumns } from '../tables/core.ts'
import type { Schema } from './schema.ts'

type Fields = Record<string, unknown>

/** Keeps a definition until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

function setDefaults(crd: StoredObject): void {
  const spec = ensureObject(crd, 'spec')
  const names = ensureObject(spec, 'names')
  if (typeof names.kind === 'string') {
    setDefault(names, 'singular', names.kind.toLowerCase())
    setDefault(names, 'listKind', `${names.kind}List`)
  }
  setDefault(ensureObject(spec, 'conversion'), 'strategy', 'None')
}

function requireText(object: unknown, path: string[], prefix = ''): FieldError[] {
  return stringAt(object, path) ? [] : [required(prefix + path.join('.'))]
}

function validateNames(crd: StoredObject): FieldError[] {
  const errors = [
    ...requireText(crd, ['spec', 'group']),
    ...requireText(crd, ['spec', 'names', 'plural']),
    ...requireText(crd, ['spec', 'names', 'kind']),
  ]
  if (errors.length > 0) return errors
  const group = stringAt(crd, ['spec', 'group']) ?? ''
  const plural = stringAt(crd, ['spec', 'names', 'plural']) ?? ''
  if (crd.metadata.name !== `${plural}.${group}`) {
    errors.push(invalidValue('metadata.name', crd.metadata.name, 'must be spec.names.plural+"."+spec.group'))
  }
  if (!isDnsSubdomain(group) || !group.includes('.')) {
    errors.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'))
  }
  if (!isDns1035Label(plural))
    errors.push(invalidValue('spec.names.plural', plural, 'must be a DNS-1035 label'))
  return errors
}

/** Structural schemas give every value a type, see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/. */
function structuralErrors(schema: Schema, path: string): FieldError[] {
  const isFree = schema['x-kubernetes-int-or-string'] || schema['x-kubernetes-preserve-unknown-fields']
  const errors: FieldError[] = []
  if (!schema.type && !isFree)
    errors.push(required(`${path}.type`, 'must not be empty for specified object fields'))
  if (schema.type === 'array' && !schema.items) errors.push(required(`${path}.items`, 'must be specified'))
  if (schema['x-kubernetes-list-type'] === 'map' && !schema['x-kubernetes-list-map-keys']?.length) {
    errors.push(
      required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'),
    )
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    errors.push(...structuralErrors(property, `${path}.properties[${name}]`))
  }
  if (schema.items) errors.push(...structuralErrors(schema.items, `${path}.items`))
  if (isObject(schema.additionalProperties)) {
    errors.push(...structuralErrors(schema.additionalProperties, `${path}.additionalProperties`))
  }
  return errors
}

function validateVersion(version: Fields, path: string): FieldError[] {
  const errors = requireText(version, ['name'], `${path}.`)
  for (const key of ['served', 'storage']) {
    if (typeof version[key] !== 'boolean') errors.push(required(`${path}.${key}`))
  }
  const schema = valueAt(version, ['schema', 'openAPIV3Schema'])
  const schemaPath = `${path}.schema.openAPIV3Schema`
  if (!isObject(schema)) return [...errors, required(schemaPath, 'schemas are required')]
  if (schema.type !== 'object')
    errors.push(invalidValue(`${schemaPath}.type`, schema.type, 'must be object at the root'))
  return [...errors, ...structuralErrors(schema as Schema, schemaPath)]
}

function validateVersions(crd: StoredObject): FieldError[] {
  const versions = objectsAt(crd, ['spec', 'versions'])
  const errors = versions.flatMap((version, index) => validateVersion(version, `spec.versions[${index}]`))
  if (versions.length === 0) errors.push(required('spec.versions'))
  const stored = versions.filter((version) => version.storage === true).length
  if (versions.length > 0 && stored !== 1) {
    errors.push(
      invalidValue('spec.versions', stored, 'must have exactly one version marked as storage version'),
    )
  }
  return errors
}

function validate(crd: StoredObject, old: StoredObject | undefined): FieldError[] {
  const errors = [...validateNames(crd), ...validateVersions(crd)]
  const scope = stringAt(crd, ['spec', 'scope'])
  const scopes = ['Cluster', 'Namespaced']
  if (!scopes.includes(scope ?? ''))
    errors.push(scope ? unsupported('spec.scope', scope, scopes) : required('spec.scope'))
  const strategy = stringAt(crd, ['spec', 'conversion', 'strategy'])
  // A webhook would have to be called on every read; the local cluster converts by name only.
  if (strategy !== 'None') errors.push(unsupported('spec.conversion.strategy', strategy, ['None']))
  if (!old) return errors
  for (const path of [
    ['spec', 'group'],
    ['spec', 'scope'],
    ['spec', 'names', 'plural'],
    ['spec', 'names', 'kind'],
  ]) {
    errors.push(...immutable(crd, old, path))
  }
  return errors
}

/** CustomResourceDefinition itself. */
export const customResourceDefinitionKind: KindDefinition = defineKind(resources.customResourceDefinitions, {
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  hasStatus: true,
  tracksGeneration: true,
  columns: roleColumns,
  mergeSchema: builtinMergeSchema('CustomResourceDefinition'),
  strategy: {
    ...typedStrategy('CustomResourceDefinition'),
    setDefaults,
    validate,
    prepareCreate(crd) {
      crd.metadata.finalizers = [...(crd.metadata.finalizers ?? []), cleanupFinalizer]
      crd.status = { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: [] }
    },
  },
})
