import { Flags } from '@oclif/core'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { meshVersion } from '../runtime/shared/version.ts'

export default class Version extends BaseCommand {
  static override summary = 'Show the versions of the client, the control plane and the proxies'
  static override flags = {
    client: Flags.boolean({ description: 'Only the client; no cluster is asked' }),
    short: Flags.boolean({ description: 'Only the number' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Version)
    this.output.data(flags.short ? `${meshVersion}\n` : `Client version: ${meshVersion}\n`)
  }
}
