import { connectCluster } from '../../runtime/actions/connect.ts'
import { controllerMetrics, metricsText } from '../../runtime/actions/diagnostics.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag } from '../../runtime/cli/flags.ts'
import { exitCodes } from '../../runtime/shared/exit-codes.ts'

export default class ControllerMetrics extends BaseCommand {
  static override summary = 'Show the metrics of the controllers'
  static override hiddenAliases = ['diagnostics:cp-metrics', 'dg:controller-metrics', 'dg:cp-metrics']
  static override flags = { ...meshNamespaceFlag, ...connectionFlags }

  async run(): Promise<void> {
    const { flags } = await this.parse(ControllerMetrics)
    const { client } = connectCluster(connectionFrom(flags))
    const metrics = await controllerMetrics(client, flags['linkerd-namespace'])
    this.output.data(metricsText(metrics))
    if (metrics.length === 0) this.output.note('no controller was found')
    if (metrics.some(({ error }) => error !== undefined)) this.exitWith(exitCodes.failed)
  }
}
