import { resources } from '../../../kube/resources.ts'
import { type Cluster, keyOf, splitKey, unlessGone } from '../../cluster.ts'
import type { Deployment, ReplicaSet } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { controllerOf, controllerReference, isControlledBy, selectorText } from '../owners.ts'
import {
  type DeploymentPlan,
  planDeployment,
  revisionAnnotation,
  revisionOf,
  templateHashLabel,
} from './reconcile.ts'

/** Rolls out Deployments: keeps one ReplicaSet for each version of the pod template. */
export function serveDeployments(cluster: Cluster): void {
  const queue = new KeyedQueue((key) => reconcile(cluster, key), cluster)
  cluster.cache.deployments.onChange(({ before, after }) => queue.add(keyOf((after ?? before) as Deployment)))
  cluster.cache.replicaSets.onChange(({ before, after }) => {
    const set = (after ?? before) as ReplicaSet
    const owner = controllerOf(set)
    if (owner?.kind === 'Deployment') queue.add(`${set.metadata.namespace}/${owner.name}`)
  })
  // `Recreate` waits for the last old pod to be gone.
  cluster.cache.pods.onChange(({ before, after }) => {
    if (after !== undefined || before === undefined) return
    const set = cluster.cache.replicaSets.get(controllerOf(before)?.name ?? '', before.metadata.namespace)
    const owner = set && controllerOf(set)
    if (owner?.kind === 'Deployment') queue.add(`${before.metadata.namespace}/${owner.name}`)
  })
}

async function reconcile(cluster: Cluster, key: string): Promise<number | undefined> {
  const { namespace, name } = splitKey(key)
  const deployment = await cluster.client.read<Deployment>(resources.deployments, name, namespace)
  if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return undefined
  const labelSelector = selectorText(deployment.spec.selector)
  const found = await cluster.client.list<ReplicaSet>(resources.replicaSets, { namespace, labelSelector })
  const sets = found.items.filter((set) => isControlledBy(set, deployment))
  const pods = cluster.cache.pods.list(namespace)
  const nowMs = cluster.clock.nowMs()
  const plan = planDeployment(deployment, sets, 0, nowMs)
  const old = sets.filter((set) => set.metadata.labels?.[templateHashLabel] !== plan.hash)
  const oldPods = pods.filter((pod) => old.some((set) => isControlledBy(pod, set))).length
  const final = oldPods === 0 ? plan : planDeployment(deployment, sets, oldPods, nowMs)
  await carryOut(cluster, deployment, sets, final)
  return final.againMs
}

async function carryOut(
  cluster: Cluster,
  deployment: Deployment,
  sets: ReplicaSet[],
  plan: DeploymentPlan,
): Promise<void> {
  const { client } = cluster
  const { name, namespace = '' } = deployment.metadata
  if (plan.createWith !== undefined) {
    await client.create(resources.replicaSets, replicaSetFrom(deployment, plan, plan.createWith))
  }
  for (const { set, replicas } of plan.scale) {
    await unlessGone(
      client.mergePatch(resources.replicaSets, set.metadata.name, { spec: { replicas } }, { namespace }),
    )
  }
  for (const set of plan.forget) await client.remove(resources.replicaSets, set.metadata.name, namespace)
  await recordRevision(cluster, deployment, sets, plan)
  if (JSON.stringify(plan.status) === JSON.stringify(deployment.status)) return
  const options = { namespace, subresource: 'status' }
  await unlessGone(client.mergePatch(resources.deployments, name, { status: plan.status }, options))
}

/** Writes the revision on the Deployment and its current ReplicaSet, where `kubectl rollout` reads it. */
async function recordRevision(
  cluster: Cluster,
  deployment: Deployment,
  sets: ReplicaSet[],
  plan: DeploymentPlan,
): Promise<void> {
  const { name, namespace = '' } = deployment.metadata
  const patch = { metadata: { annotations: { [revisionAnnotation]: String(plan.revision) } } }
  const current = sets.find((set) => set.metadata.labels?.[templateHashLabel] === plan.hash)
  if (current !== undefined && revisionOf(current) !== plan.revision) {
    await unlessGone(
      cluster.client.mergePatch(resources.replicaSets, current.metadata.name, patch, { namespace }),
    )
  }
  if (deployment.metadata.annotations?.[revisionAnnotation] !== String(plan.revision)) {
    await unlessGone(cluster.client.mergePatch(resources.deployments, name, patch, { namespace }))
  }
}

function replicaSetFrom(deployment: Deployment, plan: DeploymentPlan, replicas: number): ReplicaSet {
  const { spec, metadata } = deployment
  const hashLabel = { [templateHashLabel]: plan.hash }
  const labels = { ...spec.template.metadata?.labels, ...hashLabel }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${plan.hash}`,
      namespace: metadata.namespace ?? 'default',
      labels,
      annotations: { [revisionAnnotation]: String(plan.revision) },
      ownerReferences: [controllerReference(deployment, 'apps/v1', 'Deployment')],
    },
    spec: {
      replicas,
      minReadySeconds: spec.minReadySeconds ?? 0,
      selector: {
        ...spec.selector,
        matchLabels: { ...spec.selector.matchLabels, ...hashLabel },
      },
      template: {
        ...spec.template,
        metadata: { ...spec.template.metadata, labels },
      },
    },
  }
}
