import { resources } from '../../../kube/resources.ts'
import { KubeError } from '../../../kube/types.ts'
import { type Cluster, keyOf, splitKey, timestamp, unlessGone } from '../../cluster.ts'
import { EventRecorder } from '../../node/events.ts'
import type { CronJob, Job } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { controllerOf, controllerReference, isControlledBy } from '../owners.ts'
import { planCronJob } from './reconcile.ts'

/** Makes Jobs by the clock. */
export function serveCronJobs(cluster: Cluster): void {
  const events = new EventRecorder(cluster, 'cronjob-controller')
  const queue = new KeyedQueue((key) => reconcile(cluster, events, key), cluster)
  cluster.cache.cronJobs.onChange(({ before, after }) => queue.add(keyOf((after ?? before) as CronJob)))
  cluster.cache.jobs.onChange(({ before, after }) => {
    const job = (after ?? before) as Job
    const owner = controllerOf(job)
    if (owner?.kind === 'CronJob') queue.add(`${job.metadata.namespace}/${owner.name}`)
  })
}

async function reconcile(cluster: Cluster, events: EventRecorder, key: string): Promise<number | undefined> {
  const { client } = cluster
  const { namespace, name } = splitKey(key)
  const cronJob = await client.read<CronJob>(resources.cronJobs, name, namespace)
  if (cronJob === undefined || cronJob.metadata.deletionTimestamp !== undefined) return undefined
  const { items } = await client.list<Job>(resources.jobs, { namespace })
  const jobs = items.filter((job) => isControlledBy(job, cronJob))
  const plan = planCronJob(cronJob, jobs, cluster.clock.nowMs())
  const subject = { kind: 'CronJob', apiVersion: 'batch/v1', object: cronJob }
  if (plan.isInvalid)
    events.warning(subject, 'UnparseableSchedule', `unparseable schedule: ${cronJob.spec.schedule}`)
  for (const job of plan.remove) await client.remove(resources.jobs, job.metadata.name, namespace)
  if (plan.startMs !== undefined) await startJob(cluster, cronJob, plan.startMs)
  const started = plan.startMs === undefined ? {} : { lastScheduleTime: timestamp(plan.startMs) }
  const active = plan.active.map(({ metadata }) => ({ kind: 'Job', namespace, name: metadata.name }))
  const status = { ...cronJob.status, ...started, active }
  if (JSON.stringify(status) !== JSON.stringify(cronJob.status)) {
    const options = { namespace, subresource: 'status' }
    await unlessGone(client.mergePatch(resources.cronJobs, name, { status }, options))
  }
  return plan.againMs
}

/** The name holds the time, so that a run is never started twice. */
async function startJob({ client }: Cluster, cronJob: CronJob, startMs: number): Promise<void> {
  const { jobTemplate } = cronJob.spec
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${cronJob.metadata.name}-${Math.floor(startMs / 60_000)}`,
      namespace: cronJob.metadata.namespace ?? 'default',
      labels: { ...jobTemplate.metadata?.labels },
      annotations: { ...jobTemplate.metadata?.annotations },
      ownerReferences: [controllerReference(cronJob, 'batch/v1', 'CronJob')],
    },
    spec: structuredClone(jobTemplate.spec),
  }
  try {
    await client.create(resources.jobs, job)
  } catch (error) {
    if (!(error instanceof KubeError && error.status === 409)) throw error
  }
}
