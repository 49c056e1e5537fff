import { Flags } from '@oclif/core'
import { apply } from '../runtime/actions/apply.ts'
import { connectCluster } from '../runtime/actions/connect.ts'
import { plainObjects, readManifests } from '../runtime/actions/manifest-input.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, namespaceFlag } from '../runtime/cli/flags.ts'
import { systemClock } from '../runtime/shared/clock.ts'

export default class Apply extends BaseCommand {
  static override summary = 'Apply manifests to the cluster, where no kubectl is at hand'
  static override description =
    'Server-side apply of every object, in the order given. The first that is refused ends it; what was applied before stays.'
  static override examples = ['<%= config.bin %> install | <%= config.bin %> apply -f -']
  static override flags = {
    filename: Flags.string({
      char: 'f',
      description: 'File, folder, https address or - for standard input; repeatable',
      multiple: true,
      required: true,
    }),
    'field-manager': Flags.string({ description: 'Who owns the fields', default: 'mesh' }),
    'force-conflicts': Flags.boolean({ description: 'Take fields that another manager owns' }),
    ...namespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Apply)
    const objects = plainObjects(await readManifests(flags.filename))
    const { client } = connectCluster(connectionFrom(flags))
    await apply(
      objects,
      {
        fieldManager: flags['field-manager'],
        force: flags['force-conflicts'],
        ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
      },
      { client, clock: systemClock, onApplied: (line) => this.output.data(`${line}\n`) },
    )
  }
}
