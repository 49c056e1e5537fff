import { Args, Flags } from '@oclif/core'
import { connectCluster } from '../runtime/actions/connect.ts'
import { type ProxyCertificate, proxyCertificates } from '../runtime/actions/identity.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, namespaceFlag, tableOutputFlag } from '../runtime/cli/flags.ts'
import type { Column } from '../runtime/cli/output.ts'
import { exitCodes } from '../runtime/shared/exit-codes.ts'

const columns: Column<ProxyCertificate>[] = [
  { header: 'NAMESPACE', value: ({ namespace }) => namespace, wide: true },
  { header: 'POD', value: ({ pod }) => pod },
  { header: 'IDENTITY', value: ({ identity }) => identity },
  { header: 'VALID_UNTIL', value: ({ validUntil, error }) => validUntil ?? error ?? 'no certificate' },
  { header: 'REFRESHES', value: ({ refreshes }) => refreshes ?? '-', wide: true },
]

export default class Identity extends BaseCommand {
  static override summary = 'Show the certificates of proxies'
  static override examples = [
    '<%= config.bin %> identity -n shop',
    '<%= config.bin %> identity -n shop deploy/web',
  ]
  static override strict = false
  static override args = {
    resource: Args.string({ description: 'TYPE/NAME or pod; all of the namespace without' }),
  }
  static override flags = {
    selector: Flags.string({ char: 'l', description: 'Only pods with these labels' }),
    ...tableOutputFlag,
    ...namespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Identity)
    const { client, namespace } = connectCluster(connectionFrom(flags))
    const rows = await proxyCertificates(client, {
      words: argv.map(String),
      namespace,
      ...(flags.selector === undefined ? {} : { labelSelector: flags.selector }),
    })
    if (rows.length === 0) this.output.note(`no meshed pod was found in ${namespace}`)
    this.output.rows(flags.output, columns, rows, { align: 'left' })
    if (rows.some(({ validUntil }) => validUntil === undefined)) this.exitWith(exitCodes.failed)
  }
}
