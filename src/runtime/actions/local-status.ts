import { connect } from '../kube/client.ts'
import { resources } from '../kube/resources.ts'
import type { KubeObject } from '../kube/types.ts'
import { clusterState } from '../local/cluster-state.ts'
import { statePaths } from '../local/paths.ts'
import { type Clock, systemClock } from '../shared/clock.ts'
import type { EnvReader } from '../shared/env.ts'
import { within } from './within.ts'

/** What `mesh local status` tells; a stable interface (`-o json`). */
export interface LocalStatus {
  name: string
  isRunning: boolean
  /** Address of the API server. */
  server?: string
  kubeconfig?: string
  /** RFC 3339. */
  startedAt?: string
  pods?: { total: number; running: number }
  /** Why the pods are not known. */
  problem?: string
  images: { name: string; command: string[] }[]
}

interface PodObject extends KubeObject {
  status?: { phase?: string }
}

const answerMs = 5_000

/** Looks at a cluster's files, and asks its API server. */
export async function localStatus(
  name: string,
  env: EnvReader,
  clock: Clock = systemClock,
): Promise<LocalStatus> {
  const paths = statePaths(name, env)
  const state = clusterState(paths)
  if (!state.isRunning) return { name, isRunning: false, images: [] }
  const known: LocalStatus = {
    name,
    isRunning: true,
    server: `https://127.0.0.1:${state.port}`,
    kubeconfig: paths.kubeconfig,
    startedAt: state.startedAt,
    images: Object.entries(state.images).map(([image, { argv }]) => ({ name: image, command: argv })),
  }
  const client = connect({ kubeconfig: paths.kubeconfig }, env)
  try {
    const { items } = await within(answerMs, clock, () => client.list<PodObject>(resources.pods))
    const running = items.filter(({ status }) => status?.phase === 'Running').length
    return { ...known, pods: { total: items.length, running } }
  } catch (error) {
    return { ...known, problem: error instanceof Error ? error.message : String(error) }
  } finally {
    client.close()
  }
}
