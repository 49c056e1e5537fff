import { Args } from '@oclif/core'
import { authz } from '../runtime/actions/authz.ts'
import { connectCluster } from '../runtime/actions/connect.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, namespaceFlag, outputFlag } from '../runtime/cli/flags.ts'
import { renderTable } from '../runtime/cli/output.ts'

export default class Authz extends BaseCommand {
  static override summary = 'List the authorizations that affect a workload'
  static override examples = ['<%= config.bin %> authz -n shop deploy/web']
  static override args = { resource: Args.string({ description: 'TYPE/NAME, or a pod', required: true }) }
  static override flags = { ...outputFlag(['table', 'json', 'yaml']), ...namespaceFlag, ...connectionFlags }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Authz)
    const { client, namespace } = connectCluster(connectionFrom(flags))
    const rows = await authz(client, args.resource, namespace)
    if (flags.output === 'json') return this.output.json(rows)
    if (flags.output === 'yaml') return this.output.yaml(rows)
    if (rows.length === 0) return this.output.note('no authorization affects it; the default policy holds')
    const columns = [
      { header: 'ROUTE', value: (row: (typeof rows)[number]) => row.route },
      { header: 'SERVER', value: (row: (typeof rows)[number]) => row.server },
      { header: 'AUTHORIZATION_POLICY', value: (row: (typeof rows)[number]) => row.authorizationPolicy },
      { header: 'SERVER_AUTHORIZATION', value: (row: (typeof rows)[number]) => row.serverAuthorization },
    ]
    this.output.data(renderTable(columns, rows, { align: 'left', gutter: '  ' }))
  }
}
