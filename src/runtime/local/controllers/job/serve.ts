import { resources } from '../../../kube/resources.ts'
import { type Cluster, keyOf, splitKey, unlessGone } from '../../cluster.ts'
import type { Job, Pod } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { controllerOf, controllerReference, isControlledBy } from '../owners.ts'
import { podFrom } from '../pod-template.ts'
import { planJob } from './reconcile.ts'

/** Runs Jobs to their end. */
export function serveJobs(cluster: Cluster): void {
  const queue = new KeyedQueue((key) => reconcile(cluster, key), cluster)
  cluster.cache.jobs.onChange(({ before, after }) => queue.add(keyOf((after ?? before) as Job)))
  cluster.cache.pods.onChange(({ before, after }) => {
    const pod = (after ?? before) as Pod
    const owner = controllerOf(pod)
    if (owner?.kind === 'Job') queue.add(`${pod.metadata.namespace}/${owner.name}`)
  })
}

async function reconcile(cluster: Cluster, key: string): Promise<number | undefined> {
  const { client } = cluster
  const { namespace, name } = splitKey(key)
  const job = await client.read<Job>(resources.jobs, name, namespace)
  if (job === undefined || job.metadata.deletionTimestamp !== undefined) return undefined
  const { items } = await client.list<Pod>(resources.pods, { namespace })
  const pods = items.filter((pod) => isControlledBy(pod, job))
  const plan = planJob(job, pods, cluster.clock.nowMs())
  if (plan.isExpired) {
    await client.remove(resources.jobs, name, namespace)
    return undefined
  }
  const owner = controllerReference(job, 'batch/v1', 'Job')
  const labels = { 'batch.kubernetes.io/job-name': name, 'job-name': name }
  for (let created = 0; created < plan.create; created++) {
    await client.create(resources.pods, podFrom(job.spec.template, job, owner, labels))
  }
  for (const pod of plan.remove) await client.remove(resources.pods, pod.metadata.name, namespace)
  if (JSON.stringify(plan.status) !== JSON.stringify(job.status)) {
    const options = { namespace, subresource: 'status' }
    await unlessGone(client.mergePatch(resources.jobs, name, { status: plan.status }, options))
  }
  return plan.againMs
}
