import { Args, Flags } from '@oclif/core'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { connectViz } from '../../runtime/actions/viz-client.ts'
import { type VizStatResult, vizStat } from '../../runtime/actions/viz-stat.ts'
import { statColumns, statJson } from '../../runtime/actions/viz-table.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import {
  allNamespacesFlag,
  connectionFlags,
  connectionFrom,
  namespaceFlag,
  outputFlag,
} from '../../runtime/cli/flags.ts'

export default class VizStat extends BaseCommand {
  static override summary = 'Show golden metrics: success rate, requests a second, latency, connections'
  static override description =
    'Types: deployment, daemonset, statefulset, replicaset, replicationcontroller, job, cronjob, pod, namespace, service, with the short names of kubectl, and all.'
  static override examples = [
    '<%= config.bin %> viz stat deploy -n shop',
    '<%= config.bin %> viz stat deploy/web -n shop --to deploy/payments',
    '<%= config.bin %> viz stat po --from deploy/web -o wide',
  ]
  static override strict = false
  static override args = {
    resource: Args.string({ description: 'TYPE, TYPE NAME…, TYPE/NAME… or all', required: true }),
  }
  static override flags = {
    'time-window': Flags.string({
      char: 't',
      description: 'Time to look back over, 15s to 1h',
      default: '1m',
    }),
    to: Flags.string({ description: 'Traffic to this TYPE or TYPE/NAME', exclusive: ['from'] }),
    'to-namespace': Flags.string({ description: 'Namespace of --to; else that of the resource' }),
    from: Flags.string({ description: 'Traffic from this TYPE or TYPE/NAME', exclusive: ['to'] }),
    'from-namespace': Flags.string({ description: 'Namespace of --from; else that of the resource' }),
    selector: Flags.string({ char: 'l', description: 'Only pods with these labels' }),
    unmeshed: Flags.boolean({ description: 'Keep rows without a meshed pod' }),
    'viz-namespace': Flags.string({ description: 'Namespace of viz; else it is found by its label' }),
    ...outputFlag(['table', 'wide', 'json']),
    ...namespaceFlag,
    ...allNamespacesFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(VizStat)
    const allNamespaces = flags['all-namespaces']
    const result = await vizStat(
      {
        words: argv.map(String),
        allNamespaces,
        window: flags['time-window'],
        ...(flags.to === undefined ? {} : { to: flags.to }),
        ...(flags['to-namespace'] === undefined ? {} : { toNamespace: flags['to-namespace'] }),
        ...(flags.from === undefined ? {} : { from: flags.from }),
        ...(flags['from-namespace'] === undefined ? {} : { fromNamespace: flags['from-namespace'] }),
        ...(flags.selector === undefined ? {} : { selector: flags.selector }),
        unmeshed: flags.unmeshed,
      },
      () => {
        const { client: kube, namespace } = connectCluster(connectionFrom(flags))
        return { kube, namespace, viz: () => connectViz(kube, flags['viz-namespace']) }
      },
    )
    this.#print(result, flags.output, allNamespaces)
  }

  #print({ tables, notes }: VizStatResult, format: 'table' | 'wide' | 'json', allNamespaces: boolean): void {
    if (format === 'json') this.output.json(statJson(tables))
    else {
      for (const [index, { kind, rows }] of tables.entries()) {
        if (index > 0) this.output.data('\n')
        const columns = statColumns(kind, { allNamespaces, withType: tables.length > 1 })
        this.output.rows(format, columns, rows)
      }
    }
    if (tables.length === 0) this.output.note('No traffic found.')
    for (const note of notes) this.output.note(note)
  }
}
