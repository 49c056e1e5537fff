import { Args, Flags } from '@oclif/core'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { connectViz } from '../../runtime/actions/viz-client.ts'
import { shortIdentity, vizEdges } from '../../runtime/actions/viz-edges.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import {
  allNamespacesFlag,
  connectionFlags,
  connectionFrom,
  namespaceFlag,
  outputFlag,
} from '../../runtime/cli/flags.ts'
import type { Column } from '../../runtime/cli/output.ts'
import type { EdgeRow } from '../../runtime/shared/viz-api.ts'

const columns: Column<EdgeRow>[] = [
  { header: 'SRC', value: ({ src }) => src, align: 'left' },
  { header: 'DST', value: ({ dst }) => dst, align: 'left' },
  { header: 'SRC_NS', value: ({ srcNamespace }) => srcNamespace, align: 'left' },
  { header: 'DST_NS', value: ({ dstNamespace }) => dstNamespace, align: 'left' },
  { header: 'CLIENT_ID', value: ({ clientId }) => shortIdentity(clientId), align: 'left', wide: true },
  { header: 'SERVER_ID', value: ({ serverId }) => shortIdentity(serverId), align: 'left', wide: true },
  { header: 'SECURED', value: ({ noTlsReason }) => noTlsReason ?? '√', align: 'left' },
]

export default class VizEdges extends BaseCommand {
  static override summary = 'Show who talks to whom, and whether it is secured'
  static override examples = ['<%= config.bin %> viz edges deploy -n shop -o wide']
  static override args = {
    type: Args.string({ description: 'Type of workload, pod or namespace', required: true }),
  }
  static override flags = {
    'viz-namespace': Flags.string({ description: 'Namespace of viz; else it is found by its label' }),
    ...outputFlag(['table', 'wide', 'json']),
    ...namespaceFlag,
    ...allNamespacesFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags, args } = await this.parse(VizEdges)
    const edges = await vizEdges({ words: [args.type], allNamespaces: flags['all-namespaces'] }, () => {
      const { client, namespace } = connectCluster(connectionFrom(flags))
      return { namespace, viz: () => connectViz(client, flags['viz-namespace']) }
    })
    const value = edges.map((edge) => ({
      src: edge.src,
      src_namespace: edge.srcNamespace,
      dst: edge.dst,
      dst_namespace: edge.dstNamespace,
      client_id: edge.clientId,
      server_id: edge.serverId,
      no_tls_reason: edge.noTlsReason,
    }))
    if (flags.output !== 'json' && edges.length === 0) this.output.note('No edges found.')
    else this.output.rows(flags.output, columns, edges, { value })
  }
}
