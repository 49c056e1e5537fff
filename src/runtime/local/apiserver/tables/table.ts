import type { StoredObject } from '../objects.ts'
import type { KindDefinition } from '../registry/definition.ts'
import { type Column, defaultColumns } from './column.ts'

/** How much of each object a Table carries; `includeObject` of the request. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

export interface Table {
  kind: 'Table'
  apiVersion: string
  metadata: { resourceVersion?: string; remainingItemCount?: number; continue?: string }
  columnDefinitions: Omit<Column, 'cell'>[]
  rows: { cells: unknown[]; object?: unknown }[]
}

function rowObject(object: StoredObject, include: IncludeObject, version: string): object | undefined {
  if (include === 'None') return undefined
  if (include === 'Object') return object
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata }
}

/**
 * Objects as a Table.
 * @param version of meta.k8s.io
 * @param withColumns watch events after the first need no column definitions
 */
export function renderTable(
  definition: KindDefinition,
  objects: readonly StoredObject[],
  options: {
    include: IncludeObject
    version: string
    nowMs: number
    withColumns?: boolean
    resourceVersion?: string
  },
): Table {
  const columns = definition.columns.length > 0 ? definition.columns : defaultColumns
  const { include, version, nowMs, resourceVersion } = options
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: resourceVersion === undefined ? {} : { resourceVersion },
    columnDefinitions:
      options.withColumns === false ? [] : columns.map(({ cell: _cell, ...definition }) => definition),
    rows: objects.map((object) => {
      const shown = rowObject(object, include, version)
      return {
        cells: columns.map((column) => column.cell(object, nowMs)),
        ...(shown ? { object: shown } : {}),
      }
    }),
  }
}
