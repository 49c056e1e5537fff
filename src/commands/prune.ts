import { connectCluster } from '../runtime/actions/connect.ts'
import { renderManifest } from '../runtime/actions/manifest.ts'
import { prune } from '../runtime/actions/prune.ts'
import { readTextFile } from '../runtime/actions/read-text.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag, outputFlag } from '../runtime/cli/flags.ts'

export default class Prune extends BaseCommand {
  static override summary = 'Print what is installed but not in the manifests any more'
  static override examples = ['<%= config.bin %> prune | kubectl delete -f -']
  static override flags = {
    ...outputFlag(['yaml', 'json']),
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Prune)
    const { client } = connectCluster(connectionFrom(flags))
    const objects = await prune(client, flags['linkerd-namespace'], readTextFile)
    if (objects.length === 0) this.output.note('nothing to prune')
    else this.output.data(renderManifest(objects, flags.output))
  }
}
