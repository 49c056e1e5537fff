import { isObject, objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { defineKind, type KindDefinition, type ScalePaths } from '../registry/definition.ts'
import { ageOf } from '../tables/age.ts'
import { ageColumn, type Cell, type Column, nameColumn } from '../tables/column.ts'
import { applyDefaults } from './defaults.ts'
import { compileJsonPath } from './json-path.ts'
import { mergeSchemaOf } from './merge-schema.ts'
import { pruneUnknownFields } from './prune.ts'
import { validateRules } from './rules.ts'
import type { Schema } from './schema.ts'
import { validateValue } from './validate.ts'

type Fields = Record<string, unknown>

function cellOf(type: string, found: unknown[], nowMs: number): Cell {
  const [value] = found
  if (found.length === 0 || value === null || value === undefined) return null
  switch (type) {
    case 'date':
      return ageOf(value, nowMs)
    case 'integer':
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    default:
      return found
        .map((item) => (isObject(item) || Array.isArray(item) ? JSON.stringify(item) : String(item)))
        .join(',')
  }
}

const columnTypes: Column['type'][] = ['string', 'integer', 'number', 'boolean', 'date']

function printerColumn(given: Fields): Column {
  const type = columnTypes.find((candidate) => candidate === given.type) ?? 'string'
  const find = compileJsonPath(String(given.jsonPath ?? ''))
  return {
    name: String(given.name ?? ''),
    type,
    format: String(given.format ?? ''),
    description: String(given.description ?? ''),
    priority: typeof given.priority === 'number' ? given.priority : 0,
    cell: (object, nowMs) => cellOf(type, find?.(object) ?? [], nowMs),
  }
}

function columnsOf(version: Fields): Column[] {
  const given = objectsAt(version, ['additionalPrinterColumns'])
  return given.length === 0 ? [nameColumn, ageColumn] : [nameColumn, ...given.map(printerColumn)]
}

function dotted(path: unknown): string {
  return String(path ?? '').replace(/^\./, '')
}

function scaleOf(version: Fields): ScalePaths | undefined {
  const scale = valueAt(version, ['subresources', 'scale'])
  if (!isObject(scale)) return undefined
  const selector = scale.labelSelectorPath === undefined ? {} : { selector: dotted(scale.labelSelectorPath) }
  return {
    specReplicas: dotted(scale.specReplicasPath),
    statusReplicas: dotted(scale.statusReplicasPath),
    ...selector,
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function definitionOf(crd: StoredObject, version: Fields, storageVersion: string): KindDefinition {
  const names = (valueAt(crd, ['spec', 'names']) ?? {}) as Fields
  const group = stringAt(crd, ['spec', 'group']) ?? ''
  const schema = (valueAt(version, ['schema', 'openAPIV3Schema']) ?? {}) as Schema
  const kind = String(names.kind)
  const scale = scaleOf(version)
  const resource = {
    group,
    version: String(version.name),
    plural: String(names.plural),
    kind,
    namespaced: stringAt(crd, ['spec', 'scope']) === 'Namespaced',
  }
  return defineKind(resource, {
    storageApiVersion: `${group}/${storageVersion}`,
    listKind: String(names.listKind ?? `${kind}List`),
    singular: String(names.singular ?? kind.toLowerCase()),
    shortNames: strings(names.shortNames),
    categories: strings(names.categories),
    hasStatus: isObject(valueAt(version, ['subresources', 'status'])),
    ...(scale ? { scale } : {}),
    tracksGeneration: true,
    selectableFields: objectsAt(version, ['selectableFields']).map((field) => dotted(field.jsonPath)),
    columns: columnsOf(version),
    mergeSchema: mergeSchemaOf(schema),
    openApiSchema: schema as Fields,
    custom: true,
    strategy: {
      setDefaults: (object) => applyDefaults(object, schema),
      prune: (object) => pruneUnknownFields(object, schema, true),
      validate(object, old) {
        const errors = validateValue({ ...object, metadata: undefined }, schema, '')
        // Rules may rely on the types being right.
        return errors.length > 0 ? errors : validateRules(object, old, schema)
      },
    },
  })
}

/** The kinds that a CustomResourceDefinition adds: one for each served version. */
export function customKinds(crd: StoredObject): KindDefinition[] {
  const versions = objectsAt(crd, ['spec', 'versions'])
  const storage = versions.find((version) => version.storage === true)
  return versions
    .filter((version) => version.served === true)
    .map((version) => definitionOf(crd, version, String(storage?.name ?? version.name)))
}
