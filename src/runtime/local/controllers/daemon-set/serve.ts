import { resources } from '../../../kube/resources.ts'
import { nodeName } from '../../addresses.ts'
import { type Cluster, keyOf, splitKey, unlessGone } from '../../cluster.ts'
import type { DaemonSet, Pod } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { controllerOf, controllerReference, isControlledBy } from '../owners.ts'
import { podFrom } from '../pod-template.ts'
import { planDaemonSet, revisionLabel } from './reconcile.ts'

/** Keeps one pod of each DaemonSet on the one node. */
export function serveDaemonSets(cluster: Cluster): void {
  const queue = new KeyedQueue((key) => reconcile(cluster, key), cluster)
  cluster.cache.daemonSets.onChange(({ before, after }) => queue.add(keyOf((after ?? before) as DaemonSet)))
  cluster.cache.pods.onChange(({ before, after }) => {
    const pod = (after ?? before) as Pod
    const owner = controllerOf(pod)
    if (owner?.kind === 'DaemonSet') queue.add(`${pod.metadata.namespace}/${owner.name}`)
  })
}

async function reconcile(cluster: Cluster, key: string): Promise<number | undefined> {
  const { client } = cluster
  const { namespace, name } = splitKey(key)
  const set = await client.read<DaemonSet>(resources.daemonSets, name, namespace)
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return undefined
  const { items } = await client.list<Pod>(resources.pods, { namespace })
  const pods = items.filter((pod) => isControlledBy(pod, set))
  const labels = cluster.cache.nodes.get(nodeName)?.metadata.labels ?? {}
  const selector = Object.entries(set.spec.template.spec.nodeSelector ?? {})
  const canRun = selector.every(([label, value]) => labels[label] === value)
  const plan = planDaemonSet(set, pods, canRun, cluster.clock.nowMs())
  if (plan.create) {
    const owner = controllerReference(set, 'apps/v1', 'DaemonSet')
    const pod = podFrom(set.spec.template, set, owner, { [revisionLabel]: plan.revision })
    await client.create(resources.pods, pod)
  }
  for (const pod of plan.remove) await client.remove(resources.pods, pod.metadata.name, namespace)
  if (JSON.stringify(plan.status) !== JSON.stringify(set.status)) {
    const options = { namespace, subresource: 'status' }
    await unlessGone(client.mergePatch(resources.daemonSets, name, { status: plan.status }, options))
  }
  return plan.againMs
}
