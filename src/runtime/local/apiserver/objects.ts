import type { KubeObject, ObjectMeta } from '../../kube/types.ts'

/** Metadata as the server keeps it. */
export interface StoredMeta extends ObjectMeta {
  deletionGracePeriodSeconds?: number
  managedFields?: ManagedFieldsEntry[]
}

/** An object as the server keeps it: any fields beside its metadata. */
export interface StoredObject extends KubeObject {
  metadata: StoredMeta
  [field: string]: unknown
}

/** Who owns which fields; see KEP-555. */
export interface ManagedFieldsEntry {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  time?: string
  fieldsType: 'FieldsV1'
  fieldsV1: Record<string, unknown>
  subresource?: string
}

/** Who asks. */
export interface User {
  name: string
  uid?: string
  groups: string[]
  extra?: Record<string, string[]>
}

/** Names an object of a resource. */
export interface ObjectRef {
  name: string
  namespace?: string | undefined
}
