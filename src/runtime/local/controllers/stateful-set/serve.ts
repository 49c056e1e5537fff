import { resources } from '../../../kube/resources.ts'
import { type Cluster, keyOf, splitKey, unlessGone } from '../../cluster.ts'
import type { Pod, StatefulSet } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { controllerOf, controllerReference, isControlledBy } from '../owners.ts'
import { podFrom } from '../pod-template.ts'
import { planStatefulSet, podNameLabel, revisionLabel } from './reconcile.ts'

/** Keeps the pods of StatefulSets, each with its name. Claims for volumes are not supported. */
export function serveStatefulSets(cluster: Cluster): void {
  const queue = new KeyedQueue((key) => reconcile(cluster, key), cluster)
  cluster.cache.statefulSets.onChange(({ before, after }) =>
    queue.add(keyOf((after ?? before) as StatefulSet)),
  )
  cluster.cache.pods.onChange(({ before, after }) => {
    const pod = (after ?? before) as Pod
    const owner = controllerOf(pod)
    if (owner?.kind === 'StatefulSet') queue.add(`${pod.metadata.namespace}/${owner.name}`)
  })
}

async function reconcile(cluster: Cluster, key: string): Promise<number | undefined> {
  const { client } = cluster
  const { namespace, name } = splitKey(key)
  const set = await client.read<StatefulSet>(resources.statefulSets, name, namespace)
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return undefined
  const { items } = await client.list<Pod>(resources.pods, { namespace })
  const pods = items.filter((pod) => isControlledBy(pod, set))
  const plan = planStatefulSet(set, pods, cluster.clock.nowMs())
  for (const ordinal of plan.create) {
    await client.create(resources.pods, podOf(set, ordinal, plan.revision))
  }
  for (const pod of plan.remove) await client.remove(resources.pods, pod.metadata.name, namespace)
  if (JSON.stringify(plan.status) !== JSON.stringify(set.status)) {
    const options = { namespace, subresource: 'status' }
    await unlessGone(client.mergePatch(resources.statefulSets, name, { status: plan.status }, options))
  }
  return plan.againMs
}

function podOf(set: StatefulSet, ordinal: number, revision: string): Pod {
  const name = `${set.metadata.name}-${ordinal}`
  const owner = controllerReference(set, 'apps/v1', 'StatefulSet')
  const labels = {
    [revisionLabel]: revision,
    [podNameLabel]: name,
    'apps.kubernetes.io/pod-index': String(ordinal),
  }
  const pod = podFrom(set.spec.template, set, owner, labels)
  const { serviceName } = set.spec
  return {
    ...pod,
    metadata: { ...pod.metadata, name, generateName: '' },
    spec: { ...pod.spec, hostname: name, ...(serviceName === undefined ? {} : { subdomain: serviceName }) },
  }
}
