import { resources } from '../../../kube/resources.ts'
import { nodeName } from '../../addresses.ts'
import { type Cluster, keyOf, splitKey, timestamp } from '../../cluster.ts'
import { EventRecorder } from '../../node/events.ts'
import type { Node, Pod } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { hasEnded, withCondition } from '../conditions.ts'

/** Binds pods to the one node. */
export function serveScheduler(cluster: Cluster): void {
  const events = new EventRecorder(cluster, 'default-scheduler')
  const queue = new KeyedQueue((key) => schedule(cluster, events, key), cluster)
  cluster.cache.pods.onChange(({ after }) => {
    if (after !== undefined && isWaiting(after)) queue.add(keyOf(after))
  })
  cluster.cache.nodes.onChange(() => {
    for (const pod of cluster.cache.pods.list().filter(isWaiting)) queue.add(keyOf(pod))
  })
}

function isWaiting(pod: Pod): boolean {
  return !pod.spec.nodeName && pod.metadata.deletionTimestamp === undefined && !hasEnded(pod)
}

async function schedule(cluster: Cluster, events: EventRecorder, key: string): Promise<undefined> {
  const { namespace, name } = splitKey(key)
  const pod = cluster.cache.pods.get(name, namespace)
  const node = cluster.cache.nodes.get(nodeName)
  if (pod === undefined || node === undefined || !isWaiting(pod)) return
  const obstacle = whyNot(pod, node)
  const subject = { kind: 'Pod', apiVersion: 'v1', object: pod }
  if (obstacle !== undefined) {
    const message = `0/1 nodes are available: ${obstacle}.`
    events.warning(subject, 'FailedScheduling', message)
    await markUnschedulable(cluster, pod, message)
    return
  }
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace },
    target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
  }
  const { status } = await cluster.client.raw({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods/${name}/binding`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(binding),
  })
  if (status === 404 || status === 409) return
  if (status >= 400) throw new Error(`binding ${key} answered ${status}`)
  events.normal(subject, 'Scheduled', `Successfully assigned ${key} to ${nodeName}`)
}

/** Why a pod cannot run on the node. */
export function whyNot(pod: Pod, node: Node): string | undefined {
  const labels = node.metadata.labels ?? {}
  const selector = Object.entries(pod.spec.nodeSelector ?? {})
  if (selector.some(([key, value]) => labels[key] !== value)) {
    return "1 node(s) didn't match Pod's node affinity/selector"
  }
  return node.spec?.unschedulable ? '1 node(s) were unschedulable' : undefined
}

async function markUnschedulable(cluster: Cluster, pod: Pod, message: string): Promise<void> {
  const condition = { type: 'PodScheduled', status: 'False' as const, reason: 'Unschedulable', message }
  const conditions = withCondition(pod.status?.conditions, condition, timestamp(cluster.clock.nowMs()))
  if (conditions === pod.status?.conditions) return
  const { name, namespace = '' } = pod.metadata
  const options = { namespace, subresource: 'status' }
  await cluster.client.mergePatch(resources.pods, name, { status: { conditions } }, options)
}
