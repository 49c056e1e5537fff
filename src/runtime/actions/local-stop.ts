import { statePaths } from '../local/paths.ts'
import { type StopOutcome, stopCluster } from '../local/stop-cluster.ts'
import type { EnvReader } from '../shared/env.ts'

export interface LocalStopResult {
  outcome: StopOutcome
  name: string
}

/** Ends a local cluster and removes everything of it. */
export async function localStop(name: string, env: EnvReader): Promise<LocalStopResult> {
  return { outcome: await stopCluster(statePaths(name, env)), name }
}
