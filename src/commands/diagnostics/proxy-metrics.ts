import { Args, Flags } from '@oclif/core'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { metricsText, obfuscate, proxyMetrics } from '../../runtime/actions/diagnostics.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, namespaceFlag } from '../../runtime/cli/flags.ts'
import { exitCodes } from '../../runtime/shared/exit-codes.ts'

export default class ProxyMetrics extends BaseCommand {
  static override summary = 'Show the metrics of the proxies of a workload'
  static override hiddenAliases = ['dg:proxy-metrics']
  static override examples = ['<%= config.bin %> diagnostics proxy-metrics -n shop deploy/web']
  static override args = { resource: Args.string({ description: 'TYPE/NAME, or a pod', required: true }) }
  static override flags = {
    obfuscate: Flags.boolean({ description: 'Replace names by hashes, to share the result' }),
    ...namespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ProxyMetrics)
    const { client, namespace } = connectCluster(connectionFrom(flags))
    const metrics = await proxyMetrics(client, args.resource, namespace)
    const text = metricsText(metrics)
    this.output.data(flags.obfuscate ? obfuscate(text) : text)
    if (metrics.some(({ error }) => error !== undefined)) this.exitWith(exitCodes.failed)
  }
}
