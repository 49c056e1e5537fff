import { resources } from '../../../kube/resources.ts'
import { labelsMatch } from '../../apiserver/selectors.ts'
import { type Cluster, keyOf, splitKey, unlessGone } from '../../cluster.ts'
import type { Pod, ReplicaSet } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { controllerOf, controllerReference, isControlledBy, selectorText } from '../owners.ts'
import { podFrom } from '../pod-template.ts'
import { planReplicaSet } from './reconcile.ts'

/** Keeps the number of pods of each ReplicaSet. */
export function serveReplicaSets(cluster: Cluster): void {
  const queue = new KeyedQueue((key) => reconcile(cluster, key), cluster)
  cluster.cache.replicaSets.onChange(({ before, after }) => queue.add(keyOf((after ?? before) as ReplicaSet)))
  cluster.cache.pods.onChange(({ before, after }) => {
    const pod = (after ?? before) as Pod
    const owner = controllerOf(pod)
    if (owner?.kind === 'ReplicaSet') queue.add(`${pod.metadata.namespace}/${owner.name}`)
    if (owner === undefined) for (const set of matching(cluster, pod)) queue.add(keyOf(set))
  })
}

function matching(cluster: Cluster, pod: Pod): ReplicaSet[] {
  const sets = cluster.cache.replicaSets.list(pod.metadata.namespace)
  return sets.filter((set) => labelsMatch(set.spec.selector as never, pod.metadata.labels))
}

async function reconcile(cluster: Cluster, key: string): Promise<number | undefined> {
  const { namespace, name } = splitKey(key)
  const set = await cluster.client.read<ReplicaSet>(resources.replicaSets, name, namespace)
  if (set === undefined) return undefined
  const labelSelector = selectorText(set.spec.selector)
  // Read from the server: the copy may not hold yet what the last run created.
  const { items } = await cluster.client.list<Pod>(resources.pods, { namespace, labelSelector })
  const adopted = await adoptOrphans(cluster, set, items)
  const pods = [...items.filter((pod) => isControlledBy(pod, set)), ...adopted]
  const plan = planReplicaSet(set, pods, cluster.clock.nowMs())
  await Promise.all([
    ...Array.from({ length: plan.create }, () => createPod(cluster, set)),
    ...plan.remove.map((pod) => cluster.client.remove(resources.pods, pod.metadata.name, namespace)),
  ])
  if (JSON.stringify(plan.status) !== JSON.stringify(set.status)) {
    const options = { namespace, subresource: 'status' }
    await unlessGone(cluster.client.mergePatch(resources.replicaSets, name, { status: plan.status }, options))
  }
  return plan.againMs
}

async function adoptOrphans(cluster: Cluster, set: ReplicaSet, pods: Pod[]): Promise<Pod[]> {
  if (set.metadata.deletionTimestamp !== undefined) return []
  const orphans = pods.filter(
    (pod) => controllerOf(pod) === undefined && pod.metadata.deletionTimestamp === undefined,
  )
  const ownerReferences = [controllerReference(set, 'apps/v1', 'ReplicaSet')]
  for (const pod of orphans) {
    const { name, namespace = '' } = pod.metadata
    await unlessGone(
      cluster.client.mergePatch(resources.pods, name, { metadata: { ownerReferences } }, { namespace }),
    )
  }
  return orphans
}

async function createPod(cluster: Cluster, set: ReplicaSet): Promise<void> {
  const owner = controllerReference(set, 'apps/v1', 'ReplicaSet')
  await cluster.client.create(resources.pods, podFrom(set.spec.template, set, owner))
}
