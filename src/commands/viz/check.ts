import { Flags } from '@oclif/core'
import { parseWait } from '../../runtime/actions/check.ts'
import { jsonReport, textReport, trailer } from '../../runtime/actions/check-report.ts'
import { connectCluster } from '../../runtime/actions/connect.ts'
import { vizCheck } from '../../runtime/actions/viz-check.ts'
import { connectViz } from '../../runtime/actions/viz-client.ts'
import { BaseCommand } from '../../runtime/cli/base-command.ts'
import {
  connectionFlags,
  connectionFrom,
  meshNamespaceFlag,
  namespaceFlag,
  outputFlag,
} from '../../runtime/cli/flags.ts'
import { paint } from '../../runtime/cli/output.ts'
import { systemClock } from '../../runtime/shared/clock.ts'
import { exitCodes } from '../../runtime/shared/exit-codes.ts'
import { meshVersion } from '../../runtime/shared/version.ts'

export default class VizCheck extends BaseCommand {
  static override summary = 'Check that viz works'
  static override description = 'Exit code 0 when no check failed (warnings included), else 1.'
  static override flags = {
    proxy: Flags.boolean({ description: 'That metrics of the proxies of applications come in, too' }),
    wait: Flags.string({ description: 'How long to wait for what may yet hold', default: '5m' }),
    'viz-namespace': Flags.string({ description: 'Namespace of viz; else it is found by its label' }),
    ...outputFlag(['table', 'short', 'json']),
    ...namespaceFlag,
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(VizCheck)
    const { client } = connectCluster(connectionFrom(flags))
    let hasLines = false
    const sink = {
      write: (text: string) => {
        hasLines = true
        this.output.data(text)
      },
      paint: (text: string, colour: 'red' | 'green' | 'yellow') => paint(text, colour, this.output.colour),
    }
    const observer = flags.output === 'json' ? {} : textReport(sink, { isShort: flags.output === 'short' })
    const { results, isHealthy } = await vizCheck(
      {
        controlPlaneNamespace: flags['linkerd-namespace'],
        cliVersion: meshVersion,
        waitMs: parseWait(flags.wait),
        proxy: flags.proxy,
        ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
      },
      {
        connect: () => client,
        viz: () => connectViz(client, flags['viz-namespace']),
        clock: systemClock,
        observer,
      },
    )
    if (flags.output === 'json') this.output.json(jsonReport(results, isHealthy))
    else this.output.data(trailer(isHealthy, hasLines, sink))
    if (!isHealthy) this.exitWith(exitCodes.failed)
  }
}
