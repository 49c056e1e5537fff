import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type KubeConnection } from '../../../src/runtime/kube/client.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../../src/runtime/kube/types.ts'
import type { NodeTiming } from '../../../src/runtime/local/node/parts.ts'
import type { Container, ContainerStatus, Pod, PodSpec } from '../../../src/runtime/local/objects.ts'
import { type StatePaths, statePaths } from '../../../src/runtime/local/paths.ts'
import { startCluster } from '../../../src/runtime/local/start-cluster.ts'
import { stopCluster } from '../../../src/runtime/local/stop-cluster.ts'
import { until } from '../../support/until.ts'

/** A real local cluster, for one test file. */
export interface TestCluster {
  client: KubeConnection
  paths: StatePaths
  /** Creates a pod in the namespace `default`. */
  createPod(name: string, spec: Partial<PodSpec> & Pick<PodSpec, 'containers'>, more?: object): Promise<Pod>
  pod(name: string): Promise<Pod | undefined>
  /** Waits until a pod is as described. */
  untilPod(name: string, description: string, isSo: (pod: Pod) => boolean): Promise<Pod>
  /** @param query such as `container=web&previous=true` */
  logs(name: string, query?: string): Promise<string>
  events(name: string): Promise<{ reason: string; message: string; type: string; count: number }[]>
  stop(): Promise<void>
}

interface EventObject extends KubeObject {
  involvedObject: { name: string }
  reason: string
  message: string
  type: string
  count: number
}

export async function startTestCluster(timing: Partial<NodeTiming> = {}): Promise<TestCluster> {
  const home = await mkdtemp(join(tmpdir(), 'mesh-test-'))
  const env = (name: string) => (name === 'MESH_HOME' ? home : name === 'PATH' ? process.env.PATH : undefined)
  const paths = statePaths('test', env)
  await startCluster({ name: 'test', paths, port: 0, images: {}, waitMs: 20_000, env, timing })
  const client = connect({ kubeconfig: paths.kubeconfig }, env)
  const namespace = 'default'
  const pod = (name: string) => client.read<Pod>(resources.pods, name, namespace)
  return {
    client,
    paths,
    pod,
    createPod: (name, spec, more = {}) =>
      client.create<Pod>(resources.pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace, ...more },
        spec,
      }),
    async untilPod(name, description, isSo) {
      let last: Pod | undefined
      await until(`${name} ${description}`, async () => {
        last = await pod(name)
        return last !== undefined && isSo(last)
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; its status: ${JSON.stringify(last?.status)}`)
      })
      return last as Pod
    },
    async logs(name, query = '') {
      const { body } = await client.raw({
        method: 'GET',
        path: `/api/v1/namespaces/${namespace}/pods/${name}/log?${query}`,
      })
      return body
    },
    async events(name) {
      const { items } = await client.list<EventObject>(resources.events, { namespace })
      return items.filter(({ involvedObject }) => involvedObject.name === name)
    },
    async stop() {
      client.close()
      await stopCluster(paths)
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** A container that runs a shell script on this machine. */
export function script(name: string, text: string, more: Partial<Container> = {}): Container {
  return { name, image: 'localhost/host', command: ['sh', '-c', text], ...more }
}

/** A shell script that does something, then stays until it is told to end, and ends at once then. */
export function staying(first = ':'): string {
  // Process 1 of a PID namespace gets only signals that it waits for, so the trap comes first.
  return `trap 'exit 0' TERM; ${first}; while :; do sleep 0.05; done`
}

export const stay = staying()

/** The status of a container; as if it had none of its own before the node has written one. */
export function containerStatus(pod: Pod, name: string): ContainerStatus {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  const none = { name, image: '', imageID: '', ready: false, restartCount: 0, state: {}, lastState: {} }
  return statuses.find((candidate) => candidate.name === name) ?? none
}
