import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../../src/runtime/kube/types.ts'
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  Namespace,
  Pod,
  ReplicaSet,
  StatefulSet,
} from '../../../src/runtime/local/objects.ts'
import { until } from '../../support/until.ts'
import { script, startTestCluster, staying, type TestCluster } from '../node/test-cluster.ts'

const test = suite('local/controllers/workloads')
let cluster: TestCluster

test.before(async () => {
  cluster = await startTestCluster({ crashBackOffMs: 200 })
})

test.after(() => cluster.stop())

const template = (app: string, say = ':') => ({
  metadata: { labels: { app } },
  spec: { terminationGracePeriodSeconds: 1, containers: [script('c', staying(say))] },
})

const podsOf = async (app: string, namespace = 'default') =>
  (await cluster.client.list<Pod>(resources.pods, { namespace, labelSelector: `app=${app}` })).items

function deployment(name: string, replicas: number, namespace = 'default'): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name) },
  }
}

const readDeployment = (name: string) =>
  cluster.client.read<Deployment>(resources.deployments, name, 'default')

async function untilRolledOut(name: string, replicas: number): Promise<Deployment> {
  let found: Deployment | undefined
  await until(`${name} is rolled out`, async () => {
    found = await readDeployment(name)
    const { status, metadata } = found ?? {}
    const counts = [status?.replicas, status?.updatedReplicas, status?.availableReplicas]
    return status?.observedGeneration === metadata?.generation && counts.every((count) => count === replicas)
  })
  return found as Deployment
}

test('rolls a Deployment out, over, back and away', async () => {
  await cluster.client.create(resources.deployments, deployment('web', 3))
  await untilRolledOut('web', 3)
  const first = (await podsOf('web')).map(({ metadata }) => metadata.uid)
  await cluster.client.mergePatch(
    resources.deployments,
    'web',
    { spec: { template: template('web', 'echo second') } },
    { namespace: 'default' },
  )
  const second = await untilRolledOut('web', 3)
  assert.is(second.metadata.annotations?.['deployment.kubernetes.io/revision'], '2')
  await until('the old pods are gone', async () =>
    (await podsOf('web')).every(({ metadata }) => !first.includes(metadata.uid)),
  )
  await cluster.client.mergePatch(
    resources.deployments,
    'web',
    { spec: { template: template('web') } },
    { namespace: 'default' },
  )
  const third = await untilRolledOut('web', 3)
  assert.is(third.metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
  const sets = await cluster.client.list<ReplicaSet>(resources.replicaSets, {
    namespace: 'default',
    labelSelector: 'app=web',
  })
  assert.equal(sets.items.map(({ spec }) => spec.replicas).sort(), [0, 3])
  await cluster.client.mergePatch(
    resources.deployments,
    'web',
    { spec: { replicas: 1 } },
    { namespace: 'default' },
  )
  await untilRolledOut('web', 1)
  await cluster.client.remove(resources.deployments, 'web', 'default')
  await until('its pods are gone', async () => (await podsOf('web')).length === 0)
})

test('replaces a pod that was deleted or lost', async () => {
  await cluster.client.create(resources.deployments, deployment('steady', 2))
  await untilRolledOut('steady', 2)
  const [victim] = await podsOf('steady')
  await cluster.client.remove(resources.pods, victim?.metadata.name ?? '', 'default')
  await until('it is replaced', async () => {
    const pods = await podsOf('steady')
    return pods.length === 2 && pods.every(({ metadata }) => metadata.uid !== victim?.metadata.uid)
  })
  await untilRolledOut('steady', 2)
})

test('runs a Job to its end, again after a failure', async () => {
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'sum', namespace: 'default' },
    spec: {
      completions: 2,
      template: {
        spec: {
          restartPolicy: 'OnFailure',
          containers: [
            script('c', '[ -e /x/a ] || { touch /x/a; exit 1; }; echo done', {
              volumeMounts: [{ name: 'x', mountPath: '/x' }],
            }),
          ],
          volumes: [{ name: 'x', emptyDir: {} }],
        },
      },
    },
  }
  await cluster.client.create(resources.jobs, job)
  await until('it is complete', async () => {
    const found = await cluster.client.read<Job>(resources.jobs, 'sum', 'default')
    return found?.status?.succeeded === 2 && found.status.completionTime !== undefined
  })
})

test('gives the pods of a StatefulSet names that DNS knows, in order', async () => {
  const set: StatefulSet = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      replicas: 2,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: template('db'),
    },
  }
  await cluster.client.create(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'db', namespace: 'default' },
    spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 5432 }] },
  } as KubeObject)
  await cluster.client.create(resources.statefulSets, set)
  await until('both are ready', async () => {
    const found = await cluster.client.read<StatefulSet>(resources.statefulSets, 'db', 'default')
    return found?.status?.readyReplicas === 2
  })
  const pods = await podsOf('db')
  assert.equal(
    pods.map(({ metadata }) => metadata.name),
    ['db-0', 'db-1'],
  )
  const ask = script('c', 'until getent hosts db-1.db.default.svc.cluster.local; do sleep 0.1; done')
  await cluster.createPod('asks', { restartPolicy: 'Never', containers: [ask] })
  await cluster.untilPod('asks', 'has ended', ({ status }) => status?.phase === 'Succeeded')
  assert.ok((await cluster.logs('asks')).startsWith(pods[1]?.status?.podIP ?? 'nothing'))
})

test('runs a DaemonSet once, and a CronJob when it is due', async () => {
  const daemonSet: DaemonSet = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: template('agent') },
  }
  await cluster.client.create(resources.daemonSets, daemonSet)
  const cronJob: CronJob = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'tick', namespace: 'default' },
    spec: {
      schedule: '* * * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [script('c', 'true')] } } },
      },
    },
  }
  await cluster.client.create(resources.cronJobs, cronJob)
  // As if it had been there for a while.
  const status = { lastScheduleTime: new Date(Date.now() - 120_000).toISOString().replace(/\.\d+Z/, 'Z') }
  await cluster.client.mergePatch(
    resources.cronJobs,
    'tick',
    { status },
    { namespace: 'default', subresource: 'status' },
  )
  await until('the DaemonSet is ready', async () => {
    const found = await cluster.client.read<DaemonSet>(resources.daemonSets, 'agent', 'default')
    return found?.status?.numberReady === 1
  })
  await until('a Job has run', async () => {
    const { items } = await cluster.client.list<Job>(resources.jobs, { namespace: 'default' })
    return items.some(({ metadata, status: of }) => metadata.name.startsWith('tick-') && of?.succeeded === 1)
  })
})

test('empties a namespace before it goes', async () => {
  const namespace: Namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }
  await cluster.client.create(resources.namespaces, namespace)
  await cluster.client.create(resources.deployments, deployment('stall', 2, 'shop'))
  await until('its pods run', async () => {
    const pods = await podsOf('stall', 'shop')
    return pods.length === 2 && pods.every(({ status }) => status?.phase === 'Running')
  })
  await cluster.client.remove(resources.namespaces, 'shop')
  await until(
    'it is gone',
    async () => (await cluster.client.read(resources.namespaces, 'shop')) === undefined,
  )
  assert.equal(await podsOf('stall', 'shop'), [])
})

test.run()
