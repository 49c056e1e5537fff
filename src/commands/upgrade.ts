import { Flags } from '@oclif/core'
import { connectCluster } from '../runtime/actions/connect.ts'
import { renderManifest } from '../runtime/actions/manifest.ts'
import { readTextFile } from '../runtime/actions/read-text.ts'
import { upgrade } from '../runtime/actions/upgrade.ts'
import { flagAssignments, valueFlags } from '../runtime/actions/value-flags.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag, outputFlag } from '../runtime/cli/flags.ts'
import { namedValueFlags, valueSourceFlags, valueSourcesFrom } from '../runtime/cli/value-flags.ts'

export default class Upgrade extends BaseCommand {
  static override summary = 'Print the manifests of the next release, with what was chosen before'
  static override description =
    'Values that were chosen at the installation stay; the others follow the defaults of this version.'
  static override examples = [
    '<%= config.bin %> upgrade --crds | kubectl apply -f -',
    '<%= config.bin %> upgrade | kubectl apply -f -',
  ]
  static override flags = {
    crds: Flags.boolean({ description: 'The custom resources, which come before the control plane' }),
    ha: Flags.boolean({ description: 'Three replicas, spread out, with resources' }),
    'from-manifests': Flags.string({
      description: 'Read what was chosen from manifests instead of the cluster; - for standard input',
    }),
    ...outputFlag(['yaml', 'json']),
    ...valueSourceFlags,
    ...namedValueFlags(valueFlags),
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Upgrade)
    const manifests = flags['from-manifests']
    const objects = await upgrade(
      {
        namespace: flags['linkerd-namespace'],
        crds: flags.crds,
        inputs: { ha: flags.ha, ...valueSourcesFrom(flags), assignments: flagAssignments(flags) },
        ...(manifests === undefined ? {} : { fromManifests: manifests }),
      },
      { client: () => connectCluster(connectionFrom(flags)).client, readText: readTextFile },
    )
    this.output.data(renderManifest(objects, flags.output))
  }
}
