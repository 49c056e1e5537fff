import { Args, Flags } from '@oclif/core'
import { checkPorts, configAnnotations } from '../runtime/actions/config-annotations.ts'
import { inject } from '../runtime/actions/inject.ts'
import { readManifests, writeManifests } from '../runtime/actions/manifest-input.ts'
import { reportLine } from '../runtime/actions/uninject.ts'
import { valueFlags } from '../runtime/actions/value-flags.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { outputFlag } from '../runtime/cli/flags.ts'
import { namedValueFlags } from '../runtime/cli/value-flags.ts'

export default class Inject extends BaseCommand {
  static override summary = 'Mark the workloads of a manifest for the mesh'
  static override description =
    'Reads manifests from files, folders, https addresses or - (standard input), adds the inject annotation, and prints them. The report goes to standard error.'
  static override examples = [
    'kubectl get deploy -o yaml | <%= config.bin %> inject - | kubectl apply -f -',
    '<%= config.bin %> inject app.yaml --opaque-ports 3306 | kubectl apply -f -',
  ]
  static override strict = false
  static override args = {
    source: Args.string({ description: 'File, folder, https address or -', required: true }),
  }
  static override flags = {
    ingress: Flags.boolean({ description: 'Mark them as ingresses, which choose their own destinations' }),
    ...outputFlag(['yaml', 'json']),
    ...namedValueFlags(valueFlags.filter(({ proxy }) => proxy === true)),
  }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Inject)
    const given: Record<string, unknown> = flags
    for (const flag of ['opaque-ports', 'skip-inbound-ports', 'skip-outbound-ports']) {
      checkPorts(flag, given[flag] as string | undefined)
    }
    const documents = await readManifests(argv.map(String))
    const report = inject(documents, {
      mode: flags.ingress ? 'ingress' : 'enabled',
      config: configAnnotations(given),
      ...(given['opaque-ports'] === undefined ? {} : { opaquePorts: String(given['opaque-ports']) }),
    })
    this.output.data(writeManifests(documents, flags.output))
    this.output.note()
    for (const warning of report.warnings) this.output.note(`‼ ${warning}`)
    for (const result of report.results) this.output.note(reportLine(result))
    this.output.note()
  }
}
