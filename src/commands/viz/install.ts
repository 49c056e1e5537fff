import { Flags } from '@oclif/core'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { renderManifest } from '../../runtime/actions/manifest.ts'
import { vizInstall } from '../../runtime/actions/viz-install.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag, outputFlag } from '../../runtime/cli/flags.ts'

export default class VizInstall extends BaseCommand {
  static override summary = 'Print the manifests of viz, which collects golden metrics'
  static override examples = ['<%= config.bin %> viz install | kubectl apply -f -']
  static override flags = {
    'viz-namespace': Flags.string({ description: 'Namespace of viz', default: 'linkerd-viz' }),
    'scrape-interval': Flags.string({ description: 'Time between two scrapes of a proxy', default: '5s' }),
    'log-level': Flags.option({
      description: 'Log level of metrics-api',
      options: ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const,
      default: 'info',
    })(),
    'ignore-cluster': Flags.boolean({ description: 'Do not look at the cluster first' }),
    ...outputFlag(['yaml', 'json']),
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(VizInstall)
    const client = flags['ignore-cluster'] ? undefined : connectCluster(connectionFrom(flags)).client
    const objects = await vizInstall(
      {
        namespace: flags['viz-namespace'],
        controlPlaneNamespace: flags['linkerd-namespace'],
        logLevel: flags['log-level'],
        scrapeInterval: flags['scrape-interval'],
      },
      client,
    )
    this.output.data(renderManifest(objects, flags.output))
  }
}
