import { connect, type KubeConnection } from '../kube/client.ts'
import { type Clock, systemClock } from '../shared/clock.ts'
import type { EnvReader } from '../shared/env.ts'
import { MeshError } from '../shared/errors.ts'
import { exitCodeOf, exitCodes } from '../shared/exit-codes.ts'
import { createLogger, type Logger } from '../shared/logger.ts'
import { meshVersion } from '../shared/version.ts'
import { startAdminServer } from './admin.ts'
import type { ControllerModule } from './deps.ts'
import { parseDurationMs } from './duration.ts'
import { describeFlags, type ParsedFlags, parseFlags } from './flags.ts'
import { createMetrics } from './metrics.ts'
import { Readiness } from './readiness.ts'
import { parseListenAddress } from './server.ts'

/** How a controller is found. */
export interface ComponentEntry {
  /** Default of `--admin-addr`; empty for a job, which serves nothing. */
  adminAddr: string
  load: () => Promise<ControllerModule>
}

export interface StartOptions {
  components: Readonly<Record<string, ComponentEntry>>
  env: EnvReader
  /** Aborted when the process is told to stop. */
  signal: AbortSignal
  /** Where `--help` goes. */
  print: (text: string) => void
  clock?: Clock
  connectKube?: (flags: ParsedFlags['flags'], env: EnvReader) => KubeConnection
  logger?: Logger
}

/**
 * Runs one controller until the signal aborts: `controller COMPONENT [flags]`.
 * @returns the exit code of the process
 */
export async function startController(args: readonly string[], options: StartOptions): Promise<number> {
  const [name = '', ...rest] = args
  const entry = options.components[name]
  const logger = options.logger ?? createLogger(name === '' ? 'controller' : name)
  try {
    if (entry === undefined) throw unknownComponent(name, Object.keys(options.components))
    const module = await entry.load()
    const parsed = parseFlags(rest, name, entry.adminAddr, module.flags ?? {})
    if (parsed.isHelpWanted) {
      options.print(describeFlags(name, module.flags ?? {}))
      return exitCodes.ok
    }
    logger.level = parsed.flags.logLevel
    await runModule(module, parsed, options, logger)
    return exitCodes.ok
  } catch (thrown) {
    if (options.signal.aborted && thrown === options.signal.reason) return exitCodes.ok
    const error = MeshError.from(thrown)
    logger.fatal(
      {
        code: error.code,
        reason: error.reason,
        next: error.next,
        stack: error.kind === 'bug' ? error.stack : undefined,
      },
      error.message,
    )
    return exitCodeOf(error.kind)
  }
}

async function runModule(
  module: ControllerModule,
  parsed: ParsedFlags,
  options: StartOptions,
  logger: Logger,
): Promise<void> {
  const { flags } = parsed
  const graceMs = parseDurationMs(flags.shutdownGracePeriod)
  const clock = options.clock ?? systemClock
  const readiness = new Readiness()
  const metrics = createMetrics()
  const kube = (options.connectKube ?? connectByFlags)(flags, options.env)
  const admin =
    flags.adminAddr === ''
      ? undefined
      : await startAdminServer(parseListenAddress(flags.adminAddr), readiness, metrics)
  logger.info({ version: meshVersion, admin: admin?.address, server: kube.server }, 'started')
  try {
    const work = module.run({
      kube,
      logger,
      clock,
      signal: options.signal,
      metrics,
      ready: (what) => readiness.guard(what),
      flags,
      options: parsed.options,
      env: options.env,
    })
    await untilStopped(work, options.signal, clock, graceMs, logger)
  } finally {
    await admin?.close()
    kube.close()
  }
}

/** Waits for the work; once it was told to stop, only for the grace period. */
async function untilStopped(
  work: Promise<void>,
  signal: AbortSignal,
  clock: Clock,
  graceMs: number,
  logger: Logger,
): Promise<void> {
  const ended = new AbortController()
  const cutShort = new Promise<void>((resolve) => {
    const onAbort = () => {
      logger.info('stopping')
      clock.sleep(graceMs, ended.signal).then(
        () => {
          logger.warn({ graceMs }, 'not everything closed in time')
          resolve()
        },
        () => {},
      )
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    await Promise.race([work, cutShort])
  } finally {
    ended.abort(new Error('ended'))
  }
}

/** In a pod the service account counts, whatever kubeconfig its file system may hold; elsewhere kubectl's rules do. */
function connectByFlags(flags: ParsedFlags['flags'], env: EnvReader): KubeConnection {
  const isTold = flags.kubeconfig !== undefined || flags.context !== undefined
  return connect(
    {
      ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
      ...(flags.context === undefined ? {} : { context: flags.context }),
      inCluster: !isTold && env('KUBERNETES_SERVICE_HOST') !== undefined,
    },
    env,
  )
}

function unknownComponent(name: string, known: string[]): MeshError {
  return new MeshError({
    code: 'MESH_CONTROLLER_UNKNOWN',
    kind: 'usage',
    message: name === '' ? 'No component is named' : `There is no component ${name}`,
    reason: `There are ${known.join(', ')}`,
    next: ['controller COMPONENT [flags]'],
  })
}
