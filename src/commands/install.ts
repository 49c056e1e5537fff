import { Flags } from '@oclif/core'
import { connectCluster } from '../runtime/actions/connect.ts'
import { install } from '../runtime/actions/install.ts'
import { renderManifest } from '../runtime/actions/manifest.ts'
import { readTextFile } from '../runtime/actions/read-text.ts'
import { resolveValues } from '../runtime/actions/resolve-values.ts'
import { flagAssignments, valueFlags } from '../runtime/actions/value-flags.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag, outputFlag } from '../runtime/cli/flags.ts'
import { namedValueFlags, valueSourceFlags, valueSourcesFrom } from '../runtime/cli/value-flags.ts'

export default class Install extends BaseCommand {
  static override summary = 'Print the manifests of the control plane'
  static override description =
    'The manifests go to standard output, in the order in which they can be applied. They hold no key, no random byte and no date: the same values give the same bytes.'
  static override examples = [
    '<%= config.bin %> install --crds | kubectl apply -f -',
    '<%= config.bin %> install | kubectl apply -f -',
    '<%= config.bin %> install --set proxy.logLevel=debug --ha',
  ]
  static override flags = {
    crds: Flags.boolean({ description: 'The custom resources, which come before the control plane' }),
    ha: Flags.boolean({ description: 'Three replicas, spread out, with resources' }),
    'ignore-cluster': Flags.boolean({ description: 'Do not look at the cluster first' }),
    'show-values': Flags.boolean({ description: 'Print the values instead of the manifests' }),
    ...outputFlag(['yaml', 'json']),
    ...valueSourceFlags,
    ...namedValueFlags(valueFlags),
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Install)
    const assignments = flagAssignments(flags)
    assignments.push({ path: ['namespace'], value: flags['linkerd-namespace'] })
    const values = await resolveValues(
      { ha: flags.ha, ...valueSourcesFrom(flags), assignments },
      readTextFile,
    )
    if (flags['show-values']) {
      this.output.data(renderManifest([values], flags.output))
      return
    }
    const client = flags['ignore-cluster'] ? undefined : connectCluster(connectionFrom(flags)).client
    const objects = await install({ values, crds: flags.crds }, client)
    this.output.data(renderManifest(objects, flags.output))
  }
}
