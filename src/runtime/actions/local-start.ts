import { parseImageFlag } from '../local/images.ts'
import { statePaths } from '../local/paths.ts'
import { type StartOutcome, startCluster } from '../local/start-cluster.ts'
import type { EnvReader } from '../shared/env.ts'

export interface LocalStartOptions {
  name: string
  /** On 127.0.0.1; any free port when 0. */
  port: number
  /** Each `NAME=COMMAND`. */
  images: string[]
  waitMs: number
}

export interface LocalStartResult {
  outcome: StartOutcome
  name: string
  kubeconfig: string
}

/** Starts a local cluster, or gives a running one more images. */
export async function localStart(options: LocalStartOptions, env: EnvReader): Promise<LocalStartResult> {
  const { name, port, waitMs } = options
  const paths = statePaths(name, env)
  const images = Object.fromEntries(options.images.map(parseImageFlag))
  const outcome = await startCluster({ name, paths, port, images, waitMs, env })
  return { outcome, name, kubeconfig: paths.kubeconfig }
}
