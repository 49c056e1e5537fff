import { connectCluster } from '../../runtime/actions/connect.ts'
import { type AuthorityCertificate, authorityState } from '../../runtime/actions/identity-rotation.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import {
  connectionFlags,
  connectionFrom,
  meshNamespaceFlag,
  tableOutputFlag,
} from '../../runtime/cli/flags.ts'
import type { Column } from '../../runtime/cli/output.ts'

const columns: Column<AuthorityCertificate>[] = [
  { header: 'CERTIFICATE', value: ({ what }) => what },
  { header: 'SUBJECT', value: ({ subject }) => subject },
  { header: 'VALID_UNTIL', value: ({ validUntil }) => validUntil },
  { header: 'SHA256', value: ({ sha256 }) => sha256.slice(0, 16) },
]

export default class IdentityStatus extends BaseCommand {
  static override summary = 'Show the certificate authority: anchors, issuer, and what a rotation is at'
  static override examples = [
    '<%= config.bin %> identity status',
    '<%= config.bin %> identity status -o json',
  ]
  static override flags = { ...tableOutputFlag, ...meshNamespaceFlag, ...connectionFlags }

  async run(): Promise<void> {
    const { flags } = await this.parse(IdentityStatus)
    const { client } = connectCluster(connectionFrom(flags))
    const state = await authorityState(client, flags['linkerd-namespace'])
    if (flags.output === 'json') return this.output.json(state)
    if (flags.output === 'yaml') return this.output.yaml(state)
    this.output.rows(flags.output, columns, state.certificates, { align: 'left' })
    const { stage, since, waitingFor, proxies, rotatedAt, refusal } = state
    const last = rotatedAt === undefined ? '' : `; the last rotation ended at ${rotatedAt}`
    this.output.note(
      stage === 'idle'
        ? `no rotation is under way${last}`
        : `rotation: ${stage} since ${since}, ${waitingFor}`,
    )
    if (refusal !== undefined) this.output.note(`the last request was refused: ${refusal}`)
    for (const name of proxies?.waitingFor ?? []) this.output.note(`waiting for ${name}`)
  }
}
