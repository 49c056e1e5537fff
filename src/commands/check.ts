import { Flags } from '@oclif/core'
import { check, parseWait } from '../runtime/actions/check.ts'
import { jsonReport, type ReportSink, textReport, trailer } from '../runtime/actions/check-report.ts'
import { connectCluster } from '../runtime/actions/connect.ts'
import { checkExtensions } from '../runtime/actions/extension-checks.ts'
import { BaseCommand } from '../runtime/cli/base-command.ts'
import {
  connectionArgs,
  connectionFlags,
  connectionFrom,
  meshNamespaceFlag,
  namespaceFlag,
  outputFlag,
} from '../runtime/cli/flags.ts'
import { paint, printable } from '../runtime/cli/output.ts'
import { systemClock } from '../runtime/shared/clock.ts'
import { processEnv } from '../runtime/shared/env.ts'
import { exitCodes } from '../runtime/shared/exit-codes.ts'
import { meshVersion } from '../runtime/shared/version.ts'

export default class Check extends BaseCommand {
  static override summary = 'Check that mesh can be installed, or that it works'
  static override description =
    'Exit code 0 when no check failed (warnings included), else 1. Checks that may yet hold are tried again until --wait is over.'
  static override examples = [
    '<%= config.bin %> check --pre',
    '<%= config.bin %> check',
    '<%= config.bin %> check --proxy -n shop --wait 0',
  ]
  static override flags = {
    pre: Flags.boolean({ description: 'Before an installation', exclusive: ['proxy', 'crds'] }),
    crds: Flags.boolean({ description: 'Only the custom resources', exclusive: ['proxy', 'pre'] }),
    proxy: Flags.boolean({ description: 'The proxies of applications too', exclusive: ['pre', 'crds'] }),
    wait: Flags.string({ description: 'How long to wait for what may yet hold', default: '5m' }),
    ...outputFlag(['table', 'short', 'json']),
    ...namespaceFlag,
    ...meshNamespaceFlag,
    ...connectionFlags,
  }

  private hasLines = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Check)
    const scope = flags.pre ? 'pre' : flags.crds ? 'crds' : flags.proxy ? 'proxy' : 'control-plane'
    const report = flags.output === 'json' ? {} : textReport(this.sink, { isShort: flags.output === 'short' })
    const options = {
      controlPlaneNamespace: flags['linkerd-namespace'],
      cliVersion: meshVersion,
      waitMs: parseWait(flags.wait),
      ...(flags.namespace === undefined ? {} : { dataPlaneNamespace: flags.namespace }),
    }
    const connect = () => connectCluster(connectionFrom(flags)).client
    const observer = {
      ...report,
      onWaiting: (waiting: { description: string }, reason: string) =>
        this.showWaiting(waiting.description, reason),
    }
    const core = await check({ ...options, scope }, { connect, clock: systemClock, observer })
    const hasExtensions = core.isHealthy && (scope === 'control-plane' || scope === 'proxy')
    const extensions = hasExtensions
      ? await checkExtensions(
          { ...options, proxy: flags.proxy, connectionArgs: connectionArgs(flags) },
          { client: connect(), clock: systemClock, env: processEnv, observer },
        )
      : { results: [], isHealthy: true }
    const isHealthy = core.isHealthy && extensions.isHealthy
    const results = [...core.results, ...extensions.results]
    if (flags.output === 'json') this.output.json(jsonReport(results, isHealthy))
    else this.output.data(trailer(isHealthy, this.hasLines, this.sink))
    if (!isHealthy) this.exitWith(exitCodes.failed)
  }

  private readonly sink: ReportSink = {
    write: (text) => {
      this.hasLines = true
      this.output.data(text)
    },
    paint: (text, colour) => paint(text, colour, this.output.colour),
  }

  /** One line that is overwritten; on a terminal only. */
  private showWaiting(description: string, reason: string): void {
    if (process.stderr.isTTY !== true) return
    const line = printable(`waiting: ${description}: ${reason}`).slice(0, (process.stderr.columns ?? 80) - 1)
    process.stderr.write(`\r\u001b[K${paint(line, 'dim', this.output.colour)}\r`)
  }
}
