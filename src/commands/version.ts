import { Flags } from '@oclif/core'
import { type ConnectedCluster, connectCluster } from '../runtime/actions/connect.ts'
import { proxyVersions, serverVersion } from '../runtime/actions/version.ts'
import { within } from '../runtime/actions/within.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag, namespaceFlag } from '../runtime/cli/flags.ts'
import { printable } from '../runtime/cli/output.ts'
import { systemClock } from '../runtime/shared/clock.ts'
import { messageOf } from '../runtime/shared/errors.ts'
import { meshVersion } from '../runtime/shared/version.ts'

/** How long the cluster may take to answer. */
const budgetMs = 5_000

export default class Version extends BaseCommand {
  static override summary = 'Show the versions of the client, the control plane and the proxies'
  static override flags = {
    client: Flags.boolean({ description: 'Only the client; no cluster is asked' }),
    short: Flags.boolean({ description: 'Only the numbers' }),
    proxy: Flags.boolean({ description: 'The proxies too', exclusive: ['client'] }),
    ...namespaceFlag,
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Version)
    const show = (label: string, version: string) =>
      this.output.data(flags.short ? `${printable(version)}\n` : `${label}: ${printable(version)}\n`)
    show('Client version', meshVersion)
    if (flags.client) return
    const namespace = flags['linkerd-namespace']
    const server = await this.ask(flags, ({ client }) => serverVersion(client, namespace))
    show('Server version', server ?? 'unavailable')
    if (!flags.proxy) return
    const proxies = await this.ask(flags, ({ client }) => proxyVersions(client, namespace, flags.namespace))
    for (const { version, pods } of proxies ?? []) {
      show('Proxy version', `${version}\t(${pods} pod${pods === 1 ? '' : 's'})`)
    }
  }

  /** An answer of the cluster within the budget; without one the reason goes to standard error. */
  private async ask<T>(
    flags: Parameters<typeof connectionFrom>[0],
    question: (cluster: ConnectedCluster) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await within(budgetMs, systemClock, () => question(connectCluster(connectionFrom(flags))))
    } catch (thrown) {
      this.output.note(printable(messageOf(thrown)))
      return undefined
    }
  }
}
