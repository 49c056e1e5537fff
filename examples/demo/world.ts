import { connect, type KubeConnection } from '../../src/runtime/kube/client.ts'
import { pathOf, resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import { systemClock } from '../../src/runtime/shared/clock.ts'
import { processEnv } from '../../src/runtime/shared/env.ts'
import type { LoadStats } from '../shop/services/load.ts'
import type { Shell } from './shell.ts'

/** A pod, as far as the demo looks. */
export interface DemoPod extends KubeObject {
  status?: { phase?: string; podIP?: string; conditions?: { type: string; status: string }[] }
}

/** Where the demo happens. */
export interface World {
  shell: Shell
  kube: KubeConnection
  signal: AbortSignal
}

/** @param kubeconfig path of the local cluster's */
export function connectWorld(kubeconfig: string, shell: Shell, signal: AbortSignal): World {
  return { shell, kube: connect({ kubeconfig }, processEnv), signal }
}

/**
 * Asks until there is an answer other than `undefined`.
 * @throws {Error} with the last failure when there is none in time, or when the signal aborts
 */
export async function until<T>(
  world: Pick<World, 'signal'>,
  what: string,
  ask: () => Promise<T | undefined>,
  deadlineMs = 60_000,
): Promise<T> {
  const endMs = Date.now() + deadlineMs
  let problem = ''
  while (Date.now() < endMs) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
      problem = ''
    } catch (error) {
      if (world.signal.aborted) throw world.signal.reason as Error
      problem = ` (${error instanceof Error ? error.message : String(error)})`
    }
    await systemClock.sleep(100, world.signal)
  }
  throw new Error(`${what}: not within ${deadlineMs / 1_000} s${problem}`)
}

/** Pods of one service of the shop, those that are being deleted left out. */
export async function podsOf(world: World, app: string): Promise<DemoPod[]> {
  const { items } = await world.kube.list<DemoPod>(resources.pods, {
    namespace: 'shop',
    labelSelector: `app=${app}`,
  })
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
}

export function isReady(pod: DemoPod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
}

/** What the load generator counted. */
export async function loadStats(world: World): Promise<LoadStats> {
  const path = `${pathOf(resources.services, 'shop', 'http:load:8080')}/proxy/stats`
  const { status, body } = await world.kube.raw({ method: 'GET', path })
  if (status !== 200) throw new Error(`the load generator answered ${status}: ${body}`)
  return JSON.parse(body) as LoadStats
}

/** What a container wrote, to its end or so far. */
export async function logOf(world: World, namespace: string, name: string): Promise<string> {
  const path = pathOf(resources.pods, namespace, name, 'log')
  const { status, body } = await world.kube.raw({ method: 'GET', path })
  return status === 200 ? body : ''
}

/**
 * Runs one container of this machine's own programs to its end, outside the mesh, and gives what it wrote.
 * @param options.hostNetwork whether it sees the node's network rather than one of its own
 */
export async function runPod(
  world: World,
  name: string,
  container: { image: string; command?: string[]; args?: string[]; hostNetwork?: boolean },
): Promise<string> {
  await startPod(world, name, container)
  return finishPod(world, name)
}

/** Namespace of the pods that have no part in the mesh. */
export const outside = 'outside'

export async function startPod(
  world: World,
  name: string,
  { hostNetwork = false, ...container }: Parameters<typeof runPod>[2],
): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: outside },
    spec: { hostNetwork, restartPolicy: 'Never', containers: [{ name: 'main', ...container }] },
  }
  await world.kube.create<KubeObject>(resources.pods, pod)
}

/** Waits for a pod to end and removes it. */
export async function finishPod(world: World, name: string): Promise<string> {
  const phase = await until(world, `the pod ${name} ends`, async () => {
    const pod = await world.kube.read<DemoPod>(resources.pods, name, outside)
    const now = pod?.status?.phase
    return now === 'Succeeded' || now === 'Failed' ? now : undefined
  })
  const log = await logOf(world, outside, name)
  await world.kube.remove(resources.pods, name, outside)
  if (phase === 'Failed') throw new Error(`the pod ${name} failed: ${log}`)
  return log
}
