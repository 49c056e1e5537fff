import type { MessageInitShape } from '@bufbuild/protobuf'
import type { MetadataSchema } from '../../proto/gen/io/linkerd/proxy/meta_pb.js'

/** What decided something: a resource, or a built-in default. */
export type Meta =
  | { kind: 'default'; name: string }
  | {
      kind: 'resource'
      /** `core` for the core group: receivers refuse an empty group. */
      group: string
      resourceKind: string
      namespace: string
      name: string
      section?: string
      port?: number
    }

export function metaToWire(meta: Meta): MessageInitShape<typeof MetadataSchema> {
  if (meta.kind === 'default') return { kind: { case: 'default', value: meta.name } }
  const { group, resourceKind, namespace, name, section = '', port = 0 } = meta
  return {
    kind: { case: 'resource', value: { group, kind: resourceKind, namespace, name, section, port } },
  }
}

/** The labels by which metrics and logs name it. */
export function metaToLabels(meta: Meta): { group: string; kind: string; name: string } {
  if (meta.kind === 'default') return { group: '', kind: 'default', name: meta.name }
  return { group: meta.group, kind: meta.resourceKind, name: meta.name }
}
