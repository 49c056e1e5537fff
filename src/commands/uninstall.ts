import { Flags } from '@oclif/core'
import { connectCluster } from '../runtime/actions/connect.ts'
import { renderManifest } from '../runtime/actions/manifest.ts'
import { uninstall } from '../runtime/actions/uninstall.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, outputFlag } from '../runtime/cli/flags.ts'

export default class Uninstall extends BaseCommand {
  static override summary = 'Print what has to be deleted so that nothing of mesh is left'
  static override description =
    'Refuses while extensions or meshed pods are there. The custom resources go too, and with them every policy.'
  static override examples = ['<%= config.bin %> uninstall | kubectl delete -f -']
  static override flags = {
    force: Flags.boolean({ char: 'f', description: 'Although extensions or meshed pods are there' }),
    ...outputFlag(['yaml', 'json']),
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Uninstall)
    const { client } = connectCluster(connectionFrom(flags))
    const objects = await uninstall(client, { force: flags.force })
    if (objects.length === 0) this.output.note('nothing of mesh is installed')
    else this.output.data(renderManifest(objects, flags.output))
  }
}
