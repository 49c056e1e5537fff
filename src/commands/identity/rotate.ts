import { Flags } from '@oclif/core'
import { parseWait } from '../../runtime/actions/check.ts'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { authorityState, awaitRotation, requestRotation } from '../../runtime/actions/identity-rotation.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import { connectionFlags, connectionFrom, meshNamespaceFlag, outputFlag } from '../../runtime/cli/flags.ts'
import { systemClock } from '../../runtime/shared/clock.ts'

export default class IdentityRotate extends BaseCommand {
  static override summary = 'Replace the trust anchor, in stages and without a restart'
  static override description =
    'Proxies get the new anchor beside the old one; when all have it, certificates come from it; when the last under ' +
    'the old one has ended, that one goes. Needs the right to patch ConfigMap linkerd-identity-status.'
  static override examples = [
    '<%= config.bin %> identity rotate',
    '<%= config.bin %> identity rotate --wait --timeout 30h',
  ]
  static override flags = {
    wait: Flags.boolean({ description: 'Wait until the old anchor is gone, telling of each stage' }),
    timeout: Flags.string({ description: 'How long to wait', default: '48h', dependsOn: ['wait'] }),
    ...outputFlag(['table', 'json', 'yaml']),
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(IdentityRotate)
    const { client } = connectCluster(connectionFrom(flags))
    const namespace = flags['linkerd-namespace']
    const timeoutMs = parseWait(flags.timeout)
    const request = await requestRotation(client, namespace, new Date(systemClock.nowMs()).toISOString())
    if (flags.wait) {
      await awaitRotation({ client, clock: systemClock }, { namespace, request, timeoutMs }, (text) =>
        this.output.note(text),
      )
    } else this.output.note('asked for; mesh identity status shows how it goes')
    const state = await authorityState(client, namespace)
    if (flags.output === 'json') this.output.json(state)
    else if (flags.output === 'yaml') this.output.yaml(state)
    else this.output.data(`${flags.wait ? 'rotated' : 'requested'}\n`)
  }
}
