import { Args } from '@oclif/core'
import { readManifests, writeManifests } from '../runtime/actions/manifest-input.ts'
import { reportLine, uninject } from '../runtime/actions/uninject.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { outputFlag } from '../runtime/cli/flags.ts'

export default class Uninject extends BaseCommand {
  static override summary = 'Take the mesh out of a manifest'
  static override description =
    'Removes the containers, volumes, labels and annotations that injection added. config.linkerd.io/* annotations stay.'
  static override examples = [
    'kubectl get deploy -o yaml | <%= config.bin %> uninject - | kubectl apply -f -',
  ]
  static override strict = false
  static override args = {
    source: Args.string({ description: 'File, folder, https address or -', required: true }),
  }
  static override flags = { ...outputFlag(['yaml', 'json']) }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Uninject)
    const documents = await readManifests(argv.map(String))
    const results = uninject(documents)
    this.output.data(writeManifests(documents, flags.output))
    this.output.note()
    for (const result of results) this.output.note(reportLine(result))
    this.output.note()
  }
}
