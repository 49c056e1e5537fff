import { MeshError } from '../shared/errors.ts'
import type { EdgeRow } from '../shared/viz-api.ts'
import type { VizClient } from './viz-client.ts'
import { parseResources } from './viz-resource.ts'

/** What `mesh viz edges` was asked. */
export interface VizEdgesOptions {
  /** One type. */
  words: readonly string[]
  /** Instead of one namespace. */
  allNamespaces: boolean
}

/**
 * Asks who talks to whom.
 * @throws MeshError `MESH_VIZ_RESOURCE`, and those of {@link VizClient}
 */
export async function vizEdges(
  options: VizEdgesOptions,
  connect: () => { namespace: string; viz: () => Promise<VizClient> },
): Promise<EdgeRow[]> {
  const [resource, ...more] = parseResources(options.words)
  if (
    resource === undefined ||
    more.length > 0 ||
    resource.name !== undefined ||
    resource.kind === 'service'
  ) {
    throw new MeshError({
      code: 'MESH_VIZ_RESOURCE',
      kind: 'usage',
      message: 'edges are shown for one type: of workloads, pods or namespaces',
      next: ['mesh viz edges deploy -n shop'],
    })
  }
  const { kind } = resource
  const { namespace, viz } = connect()
  const { edges } = await (await viz()).edges({ kind, ...(options.allNamespaces ? {} : { namespace }) })
  return edges
}

/** An identity as tables show it: the first two labels, `SERVICE-ACCOUNT.NAMESPACE`. */
export function shortIdentity(identity: string | null): string {
  return identity === null ? '' : identity.split('.').slice(0, 2).join('.')
}
