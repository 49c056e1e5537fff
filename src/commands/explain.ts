import path from 'node:path'
import { Args } from '@oclif/core'
import { explain, explainableCodes } from '../runtime/actions/explain.ts'
import { readTextFile } from '../runtime/actions/read-text.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { outputFlag } from '../runtime/cli/flags.ts'

export default class Explain extends BaseCommand {
  static override summary = 'Say what a code means and what to do about it'
  static override description = 'Without a code, every code is listed. No cluster is asked.'
  static override examples = ['<%= config.bin %> explain MESH_CHECK_PODS_READY']
  static override args = { code: Args.string({ description: 'Code of an error or of a check' }) }
  static override flags = { ...outputFlag(['text', 'json']) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Explain)
    const markdown = await readTextFile(path.join(this.config.root, 'docs/errors.md'))
    if (args.code === undefined) {
      const codes = explainableCodes(markdown)
      if (flags.output === 'json') this.output.json(codes)
      else this.output.data(`${codes.join('\n')}\n`)
      return
    }
    const explanation = explain(args.code, markdown)
    if (flags.output === 'json') this.output.json(explanation)
    else this.output.data(`${explanation.code}\n\n${explanation.text}\n`)
  }
}
