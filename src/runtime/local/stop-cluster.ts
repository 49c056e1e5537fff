import { existsSync, rmdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { StatePaths } from './paths.ts'
import { childOf, isAlive, type ProcessRecord, readProcessRecord } from './process-record.ts'

/** Longer than the daemon gives itself. */
const gracefulMs = 12_000
const checkMs = 20

/** What was found: a cluster that ran, only the files of one, or nothing. */
export type StopOutcome = 'stopped' | 'cleaned' | 'absent'

/** Ends a cluster and removes its files, also when its starter or its daemon was killed. */
export async function stopCluster(paths: StatePaths): Promise<StopOutcome> {
  const record = readProcessRecord(paths.pid)
  const wasAlive = record !== undefined && isAlive(record)
  if (wasAlive) await endProcess(record)
  const hadFiles = existsSync(paths.folder)
  removeState(paths)
  if (wasAlive) return 'stopped'
  return hadFiles ? 'cleaned' : 'absent'
}

/** Removes the cluster's folder, and those above it that are empty then. */
export function removeState(paths: StatePaths): void {
  rmSync(paths.folder, { recursive: true, force: true, maxRetries: 3 })
  for (const folder of [dirname(paths.folder), dirname(dirname(paths.folder))]) {
    try {
      rmdirSync(folder)
    } catch {
      return
    }
  }
}

/** The daemon is the only child of the recorded process, which waits for it and ignores signals. */
async function endProcess(record: ProcessRecord): Promise<void> {
  const daemon = childOf(record.pid)
  if (daemon !== undefined) send(daemon, 'SIGTERM')
  if (daemon !== undefined && (await hasEnded(record, gracefulMs))) return
  // The daemon is process 1 of its namespace: the kernel ends all others with it.
  if (daemon !== undefined) send(daemon, 'SIGKILL')
  send(record.pid, 'SIGKILL')
  await hasEnded(record, gracefulMs)
}

async function hasEnded(record: ProcessRecord, withinMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + withinMs
  while (isAlive(record)) {
    if (Date.now() > deadlineMs) return false
    await new Promise((resolve) => setTimeout(resolve, checkMs))
  }
  return true
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended meanwhile.
  }
}
