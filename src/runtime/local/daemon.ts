import { writeSync } from 'node:fs'
import { processEnv } from '../shared/env.ts'
import { messageOf } from '../shared/errors.ts'
import { createLogger } from '../shared/logger.ts'
import { type ClusterOptions, type RunningCluster, runCluster } from './run-cluster.ts'

/**
 * Entry of the cluster's one process: `daemon OPTIONS`, where the options are JSON. It is process 1 of its PID
 * namespace, so its end is the end of everything that it started.
 */
const options = JSON.parse(process.argv[2] ?? '{}') as Omit<ClusterOptions, 'path'> & { readyFd: number }
const logger = createLogger('local', 'info')
/** After this the end is not waited for any longer. */
const longestStopMs = 8_000

/** One line for the starter, which may be gone. */
function report(line: string): void {
  try {
    writeSync(options.readyFd, `${line}\n`)
  } catch (error) {
    logger.debug({ reason: messageOf(error) }, 'nobody waits for the start')
  }
}

async function stop(cluster: RunningCluster | undefined): Promise<void> {
  setTimeout(() => process.exit(1), longestStopMs)
  await cluster?.stop()
  process.exit(0)
}

let cluster: RunningCluster | undefined
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    logger.info({ signal }, 'stopping')
    stop(cluster).catch((error: unknown) => {
      logger.error({ reason: messageOf(error) }, 'did not stop in order')
      process.exit(1)
    })
  })
}
process.on('unhandledRejection', (error) => {
  logger.error(
    { reason: messageOf(error), stack: (error as Error | undefined)?.stack },
    'unhandled rejection',
  )
})
process.on('uncaughtException', (error) => {
  logger.error({ reason: messageOf(error), stack: error.stack }, 'uncaught exception')
})

try {
  cluster = await runCluster({ ...options, path: processEnv('PATH') }, logger)
  report('ready')
} catch (error) {
  logger.error({ reason: messageOf(error), stack: (error as Error).stack }, 'the cluster did not start')
  report(JSON.stringify({ message: messageOf(error) }))
  process.exit(1)
}
