import { Args, Flags } from '@oclif/core'
import { checkPorts, configAnnotations } from '../runtime/actions/config-annotations.ts'
import { connectCluster } from '../runtime/actions/connect.ts'
import { inject } from '../runtime/actions/inject.ts'
import {
  assumedMesh,
  type InstalledMesh,
  injectManually,
  readInstalledMesh,
} from '../runtime/actions/inject-manual.ts'
import { readManifests, writeManifests } from '../runtime/actions/manifest-input.ts'
import { readTextFile } from '../runtime/actions/read-text.ts'
import { reportLine } from '../runtime/actions/uninject.ts'
import { valueFlags } from '../runtime/actions/value-flags.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import {
  connectionFlags,
  connectionFrom,
  meshNamespaceFlag,
  namespaceFlag,
  outputFlag,
} from '../runtime/cli/flags.ts'
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
    manual: Flags.boolean({ description: 'Put the whole proxy in, instead of leaving it to the injector' }),
    'ignore-cluster': Flags.boolean({
      description: 'With --manual: assume the defaults instead of asking the cluster',
      dependsOn: ['manual', 'identity-trust-anchors-file'],
    }),
    'identity-trust-anchors-file': Flags.string({
      description: 'With --manual: PEM file of the trust anchors',
      dependsOn: ['manual', 'ignore-cluster'],
    }),
    ...outputFlag(['yaml', 'json']),
    ...namedValueFlags(valueFlags.filter(({ proxy }) => proxy === true)),
    ...namespaceFlag,
    ...meshNamespaceFlag,
    ...connectionFlags,
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
    if (flags.manual) {
      const { mesh, namespace } = await this.installedMesh(flags)
      injectManually(documents, mesh, namespace)
    }
    this.output.data(writeManifests(documents, flags.output))
    this.output.note()
    for (const warning of report.warnings) this.output.note(`‼ ${warning}`)
    for (const result of report.results) this.output.note(reportLine(result))
    this.output.note()
  }

  /** What the proxies of `--manual` are configured by. */
  private async installedMesh(
    flags: Parameters<typeof connectionFrom>[0] & {
      'linkerd-namespace': string
      'identity-trust-anchors-file'?: string | undefined
    },
  ): Promise<{ mesh: InstalledMesh; namespace: string }> {
    const anchorsFile = flags['identity-trust-anchors-file']
    const controlPlane = flags['linkerd-namespace']
    if (anchorsFile !== undefined) {
      const anchors = await readTextFile(anchorsFile)
      return { mesh: assumedMesh(controlPlane, anchors), namespace: flags.namespace ?? 'default' }
    }
    const { client, namespace } = connectCluster(connectionFrom(flags))
    return { mesh: await readInstalledMesh(client, controlPlane), namespace }
  }
}
