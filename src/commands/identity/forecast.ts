import { Flags } from '@oclif/core'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { type Forecast, forecast } from '../../runtime/actions/identity.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import {
  connectionFlags,
  connectionFrom,
  meshNamespaceFlag,
  tableOutputFlag,
} from '../../runtime/cli/flags.ts'
import type { Column } from '../../runtime/cli/output.ts'
import { systemClock } from '../../runtime/shared/clock.ts'

const columns: Column<Forecast>[] = [
  { header: 'CERTIFICATE', value: ({ what }) => what },
  { header: 'SUBJECT', value: ({ subject }) => subject },
  { header: 'VALID_UNTIL', value: ({ validUntil }) => validUntil },
  { header: 'DAYS', value: ({ days }) => days, align: 'right' },
]

const dayMs = 86_400_000

export default class IdentityForecast extends BaseCommand {
  static override summary = 'Show when the certificates of the control plane end'
  static override description = 'The issuer and the certificate of the webhook renew themselves in time.'
  static override examples = ['<%= config.bin %> identity forecast --horizon 90']
  static override flags = {
    horizon: Flags.integer({ description: 'Only what ends within so many days', min: 0 }),
    ...tableOutputFlag,
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(IdentityForecast)
    const { client } = connectCluster(connectionFrom(flags))
    const horizonMs = flags.horizon === undefined ? Number.POSITIVE_INFINITY : flags.horizon * dayMs
    const rows = await forecast(client, flags['linkerd-namespace'], systemClock.nowMs(), horizonMs)
    if (rows.length === 0) this.output.note('nothing ends within that time')
    this.output.rows(flags.output, columns, rows, { align: 'left' })
  }
}
