import { Args } from '@oclif/core'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { completedCommands, completionScript, type Shell, shells } from '../runtime/cli/completion.ts'

export default class Completion extends BaseCommand {
  static override summary = 'Print the script that completes commands and flags in a shell'
  static override examples = [
    'source <(<%= config.bin %> completion bash)',
    '<%= config.bin %> completion zsh > "${fpath[1]}/_<%= config.bin %>"',
    '<%= config.bin %> completion fish | source',
  ]
  static override args = {
    shell: Args.string({ description: 'Shell', required: true, options: [...shells] }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(Completion)
    const commands = completedCommands(this.config.commands)
    this.output.data(completionScript(args.shell as Shell, this.config.bin, commands))
  }
}
