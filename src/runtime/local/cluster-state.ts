import { readFileSync } from 'node:fs'
import { type ImageTable, readImages } from './images.ts'
import type { StatePaths } from './paths.ts'
import { isAlive, readProcessRecord } from './process-record.ts'

/** What a daemon writes when it is ready. */
export interface DaemonStatus {
  name: string
  /** Of the API server, on 127.0.0.1. */
  port: number
  /** RFC 3339. */
  startedAt: string
}

export type ClusterState =
  | { isRunning: false }
  | ({ isRunning: true; images: ImageTable } & Pick<DaemonStatus, 'port' | 'startedAt'>)

/** Whether a cluster runs, and what its files tell. One that is still starting does not run yet. */
export function clusterState(paths: StatePaths): ClusterState {
  const record = readProcessRecord(paths.pid)
  if (record === undefined || !isAlive(record)) return { isRunning: false }
  let text: string
  try {
    text = readFileSync(paths.status, 'utf8')
  } catch {
    return { isRunning: false }
  }
  const { port, startedAt } = JSON.parse(text) as DaemonStatus
  return { isRunning: true, images: readImages(paths.images), port, startedAt }
}
