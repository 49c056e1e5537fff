import { Flags } from '@oclif/core'
import { localStop } from '../../runtime/actions/local-stop.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { processEnv } from '../../runtime/shared/env.ts'

const sentences = {
  stopped: 'is stopped; nothing of it is left',
  cleaned: 'did not run; its files are removed',
  absent: 'does not run',
} as const

export default class LocalStop extends BaseCommand {
  static override summary = 'Stop a local cluster and remove everything of it'
  static override examples = ['<%= config.bin %> local stop']
  static override flags = {
    name: Flags.string({ description: 'Name of the cluster', default: 'mesh' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(LocalStop)
    const { outcome, name } = await localStop(flags.name, processEnv)
    this.output.data(`The cluster ${name} ${sentences[outcome]}.\n`)
  }
}
