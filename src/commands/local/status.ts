import { Flags } from '@oclif/core'
import { localStatus, type LocalStatus as Status } from '../../runtime/actions/local-status.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { outputFlag } from '../../runtime/cli/flags.ts'
import { printable } from '../../runtime/cli/output.ts'
import { processEnv } from '../../runtime/shared/env.ts'
import { exitCodes } from '../../runtime/shared/exit-codes.ts'

export default class LocalStatus extends BaseCommand {
  static override summary = 'Show whether a local cluster runs, and what is in it'
  static override description = 'Exit code 0 when the cluster runs, else 1.'
  static override examples = ['<%= config.bin %> local status', '<%= config.bin %> local status -o json']
  static override flags = {
    name: Flags.string({ description: 'Name of the cluster', default: 'mesh' }),
    ...outputFlag(['text', 'json']),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(LocalStatus)
    const status = await localStatus(flags.name, processEnv)
    if (flags.output === 'json') this.output.json(status)
    else this.output.data(textOf(status))
    if (!status.isRunning) this.exitWith(exitCodes.failed)
  }
}

function textOf(status: Status): string {
  const { name, server, kubeconfig, startedAt, pods, problem, images } = status
  if (!status.isRunning) return `The cluster ${name} does not run.\n`
  const lines = [
    `The cluster ${name} runs since ${startedAt}.`,
    `API server  ${server}`,
    `kubeconfig  ${kubeconfig}`,
    `pods        ${pods === undefined ? `not known: ${problem}` : `${pods.running} of ${pods.total} running`}`,
    'images',
    ...images.map((image) => `  ${image.name}  ${image.command.join(' ')}`),
  ]
  return `${lines.map(printable).join('\n')}\n`
}
