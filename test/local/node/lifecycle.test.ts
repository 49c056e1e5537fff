import { existsSync, readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Pod } from '../../../src/runtime/local/objects.ts'
import { childOf, readProcessRecord } from '../../../src/runtime/local/process-record.ts'
import { until } from '../../support/until.ts'
import { containerStatus, script, startTestCluster, stay, staying, type TestCluster } from './test-cluster.ts'

const test = suite('local/node/lifecycle')
let cluster: TestCluster

test.before(async () => {
  cluster = await startTestCluster({ crashBackOffMs: 200, missingRetryMs: 50 })
})

test.after(() => cluster.stop())

const isRunning = (pod: Pod) => pod.status?.phase === 'Running'
const isReady = (pod: Pod) =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const hasEnded = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
const lines = (text: string) => text.split('\n').filter((line) => line !== '')

/** Deletes a pod and waits until nothing is left of it. */
async function remove(name: string, gracePeriodSeconds = 1): Promise<void> {
  await cluster.client.raw({
    method: 'DELETE',
    path: `/api/v1/namespaces/default/pods/${name}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ gracePeriodSeconds }),
  })
  await until(`${name} is gone`, async () => (await cluster.pod(name)) === undefined)
}

test('runs a pod to success and tells how', async () => {
  await cluster.createPod('once', { restartPolicy: 'Never', containers: [script('c', 'echo hello; exit 0')] })
  const pod = await cluster.untilPod('once', 'has ended', hasEnded)
  assert.is(pod.status?.phase, 'Succeeded')
  const { state } = containerStatus(pod, 'c')
  assert.is(state.terminated?.exitCode, 0)
  assert.is(state.terminated?.reason, 'Completed')
  assert.is(await cluster.logs('once'), 'hello\n')
  assert.ok(pod.status?.podIP?.startsWith('10.244.'))
  assert.ok(pod.status?.startTime)
})

test('tells the exit code and the message of a container that failed', async () => {
  await cluster.createPod('failed', {
    restartPolicy: 'Never',
    containers: [
      script('code', 'echo because > /dev/termination-log; exit 7'),
      script('logged', 'echo last words; exit 1', { terminationMessagePolicy: 'FallbackToLogsOnError' }),
    ],
  })
  await until('two have ended', async () => {
    const pod = await cluster.pod('failed')
    return ['code', 'logged'].every((name) => pod && containerStatus(pod, name).state.terminated)
  })
  const pod = (await cluster.pod('failed')) as Pod
  assert.is(containerStatus(pod, 'code').state.terminated?.exitCode, 7)
  assert.is(containerStatus(pod, 'code').state.terminated?.message, 'because\n')
  assert.is(containerStatus(pod, 'logged').state.terminated?.message, 'last words\n')
  await remove('failed')
})

test('runs init containers one after another, then the others', async () => {
  const mount = [{ name: 'shared', mountPath: '/shared' }]
  const write = (name: string) =>
    script(name, `cat /shared/log 2>/dev/null; sleep 0.1; echo ${name} >> /shared/log`, {
      volumeMounts: mount,
    })
  await cluster.createPod('ordered', {
    restartPolicy: 'Never',
    initContainers: [write('first'), write('second')],
    containers: [script('app', 'cat /shared/log', { volumeMounts: mount })],
    volumes: [{ name: 'shared', emptyDir: {} }],
  })
  const pod = await cluster.untilPod('ordered', 'has ended', hasEnded)
  assert.is(pod.status?.phase, 'Succeeded')
  assert.equal(lines(await cluster.logs('ordered', 'container=app')), ['first', 'second'])
  assert.is(containerStatus(pod, 'first').ready, true)
})

test('fails the pod when an init container fails and must not be restarted', async () => {
  await cluster.createPod('no-init', {
    restartPolicy: 'Never',
    initContainers: [script('init', 'exit 4')],
    containers: [script('app', 'echo never')],
  })
  const pod = await cluster.untilPod('no-init', 'has ended', hasEnded)
  assert.is(pod.status?.phase, 'Failed')
  assert.is(containerStatus(pod, 'app').state.waiting?.reason, 'PodInitializing')
})

test('starts a sidecar before the next container, and ends it after the last, in reverse order', async () => {
  const mount = [{ name: 'shared', mountPath: '/shared' }]
  const say = (text: string) => `echo ${text} >> /shared/log`
  const sidecar = (name: string) =>
    script(
      name,
      `${say(`${name}-up`)}; trap '${say(`${name}-down`)}; exit 0' TERM; sleep 0.2; touch /shared/${name}; while :; do sleep 0.05; done`,
      {
        restartPolicy: 'Always',
        startupProbe: { exec: { command: ['test', '-e', `/shared/${name}`] }, periodSeconds: 1 },
        volumeMounts: mount,
      },
    )
  await cluster.createPod('sidecars', {
    restartPolicy: 'Never',
    initContainers: [sidecar('one'), script('init', say('init'), { volumeMounts: mount }), sidecar('two')],
    containers: [script('app', `${say('app')}; sleep 0.2; ${say('app-end')}`, { volumeMounts: mount })],
    volumes: [{ name: 'shared', hostPath: { path: cluster.paths.folder, type: 'Directory' } }],
  })
  const pod = await cluster.untilPod('sidecars', 'has ended', hasEnded)
  assert.is(pod.status?.phase, 'Succeeded')
  await until('sidecars have ended', async () => {
    const now = (await cluster.pod('sidecars')) as Pod
    return ['one', 'two'].every((name) => containerStatus(now, name).state.terminated !== undefined)
  })
  const log = lines(readFileSync(`${cluster.paths.folder}/log`, 'utf8'))
  assert.equal(log, ['one-up', 'init', 'two-up', 'app', 'app-end', 'two-down', 'one-down'])
})

test('restarts a sidecar alone when it ends', async () => {
  await cluster.createPod('lone-sidecar', {
    initContainers: [
      script(
        'side',
        'if [ -e /x/once ]; then trap "exit 0" TERM; while :; do sleep 0.05; done; fi; touch /x/once; exit 1',
        {
          restartPolicy: 'Always',
          volumeMounts: [{ name: 'x', mountPath: '/x' }],
        },
      ),
    ],
    containers: [script('app', stay)],
    volumes: [{ name: 'x', emptyDir: {} }],
  })
  const pod = await cluster.untilPod('lone-sidecar', 'has restarted its sidecar', (now) => {
    const { restartCount, state } = containerStatus(now, 'side')
    return restartCount === 1 && state.running !== undefined && isRunning(now)
  })
  assert.is(containerStatus(pod, 'side').lastState.terminated?.exitCode, 1)
  assert.is(containerStatus(pod, 'app').restartCount, 0)
  await remove('lone-sidecar')
})

test('restarts a container with a growing back-off, and keeps the log of the run before', async () => {
  await cluster.createPod('crash', { containers: [script('c', 'echo run $$ $(date +%s%N); exit 3')] })
  const pod = await cluster.untilPod('crash', 'is in a crash loop', (now) => {
    const { restartCount, state } = containerStatus(now, 'c')
    return restartCount >= 2 && state.waiting?.reason === 'CrashLoopBackOff'
  })
  const status = containerStatus(pod, 'c')
  assert.is(status.lastState.terminated?.exitCode, 3)
  assert.match(status.state.waiting?.message ?? '', /back-off/)
  assert.is(lines(await cluster.logs('crash')).length, 1)
  assert.match(await cluster.logs('crash', 'previous=true'), /^run/)
  assert.is.not(await cluster.logs('crash', 'previous=true'), await cluster.logs('crash'))
  assert.ok((await cluster.events('crash')).some(({ reason }) => reason === 'BackOff'))
  await remove('crash')
})

test('waits for an image that is not in the table, and starts when it is added', async () => {
  await cluster.createPod('unknown', { containers: [{ name: 'c', image: 'example.org/nothing:1' }] })
  const pod = await cluster.untilPod('unknown', 'waits', (now) => {
    return containerStatus(now, 'c').state.waiting?.reason === 'ImagePullBackOff'
  })
  assert.match(
    containerStatus(pod, 'c').state.waiting?.message ?? '',
    /--image 'example.org\/nothing=COMMAND'/,
  )
  const { readImages, writeImages } = await import('../../../src/runtime/local/images.ts')
  const table = readImages(cluster.paths.images)
  writeImages(cluster.paths.images, { ...table, 'example.org/nothing': { argv: ['sh', '-c', stay] } })
  await cluster.untilPod('unknown', 'runs', isRunning)
  await remove('unknown')
})

test('waits for a ConfigMap that is missing, and starts when it is there', async () => {
  await cluster.createPod('config', {
    containers: [
      script('c', staying('echo "$COLOUR"'), {
        env: [{ name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'late', key: 'colour' } } }],
      }),
    ],
  })
  const waiting = await cluster.untilPod('config', 'waits', (pod) => {
    return containerStatus(pod, 'c').state.waiting?.reason === 'CreateContainerConfigError'
  })
  assert.match(containerStatus(waiting, 'c').state.waiting?.message ?? '', /configmap "late" not found/)
  await cluster.client.create(
    { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'late', namespace: 'default' },
      data: { colour: 'red' },
    } as never,
  )
  await cluster.untilPod('config', 'runs', isRunning)
  await until('it has printed', async () => (await cluster.logs('config')) === 'red\n')
  await remove('config')
})

test('is ready only while its readiness probe succeeds', async () => {
  await cluster.createPod('probed', {
    containers: [
      script('c', staying('touch /tmp/ready; (sleep 1; rm /tmp/ready) & true'), {
        readinessProbe: {
          exec: { command: ['test', '-e', '/tmp/ready'] },
          periodSeconds: 1,
          failureThreshold: 1,
        },
      }),
    ],
  })
  await cluster.untilPod('probed', 'is ready', isReady)
  await cluster.untilPod('probed', 'is not ready any more', (pod) => isRunning(pod) && !isReady(pod))
  assert.ok((await cluster.events('probed')).some(({ reason }) => reason === 'Unhealthy'))
  await remove('probed')
})

test('restarts a container whose liveness probe fails', async () => {
  await cluster.createPod('alive', {
    terminationGracePeriodSeconds: 1,
    containers: [
      script('c', stay, {
        livenessProbe: { tcpSocket: { port: 9 }, periodSeconds: 1, failureThreshold: 1 },
      }),
    ],
  })
  const pod = await cluster.untilPod(
    'alive',
    'is restarted',
    (now) => containerStatus(now, 'c').restartCount >= 1,
  )
  assert.ok(pod)
  assert.ok((await cluster.events('alive')).some(({ message }) => message.includes('failed liveness probe')))
  await remove('alive')
})

test('gives a container its time to end, with its hooks, and kills it when the time is over', async () => {
  const mount = [{ name: 'out', mountPath: '/out' }]
  await cluster.createPod('ending', {
    terminationGracePeriodSeconds: 2,
    containers: [
      script('polite', "trap 'echo term >> /out/polite; exit 0' TERM; while :; do sleep 0.05; done", {
        volumeMounts: mount,
        lifecycle: {
          postStart: { exec: { command: ['sh', '-c', 'echo start >> /out/polite'] } },
          preStop: { exec: { command: ['sh', '-c', 'echo stop >> /out/polite'] } },
        },
      }),
      script('deaf', "trap '' TERM; while :; do sleep 0.05; done"),
    ],
    volumes: [{ name: 'out', hostPath: { path: cluster.paths.folder } }],
  })
  await cluster.untilPod('ending', 'runs', isReady)
  await until('the hook has run', async () => {
    return (
      existsSync(`${cluster.paths.folder}/polite`) &&
      readFileSync(`${cluster.paths.folder}/polite`, 'utf8') !== ''
    )
  })
  const startedMs = Date.now()
  await remove('ending', 2)
  const tookMs = Date.now() - startedMs
  assert.ok(tookMs >= 1_900 && tookMs < 4_500, `${tookMs} ms`)
  assert.equal(lines(readFileSync(`${cluster.paths.folder}/polite`, 'utf8')), ['start', 'stop', 'term'])
})

test('kills a probe that takes too long, and leaves no dead processes', async () => {
  const slow = {
    exec: { command: ['sleep', '30'] },
    periodSeconds: 1,
    timeoutSeconds: 1,
    failureThreshold: 1,
  }
  await cluster.createPod('slow', { containers: [script('c', stay, { readinessProbe: slow })] })
  await until('two probes have failed', async () => {
    const failures = (await cluster.events('slow')).filter(({ message }) =>
      message.includes('no answer within 1 s'),
    )
    return failures.some(({ count }) => count >= 2)
  })
  const daemon = childOf(readProcessRecord(cluster.paths.pid)?.pid ?? 0)
  const children = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8').trim().split(' ')
  const states = children.map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0])
  assert.not.ok(states.includes('Z'))
  await remove('slow')
})

test('ends a pod at once when it is deleted without grace', async () => {
  await cluster.createPod('forced', {
    containers: [script('deaf', "trap '' TERM; while :; do sleep 0.05; done")],
  })
  await cluster.untilPod('forced', 'runs', isRunning)
  const startedMs = Date.now()
  await remove('forced', 0)
  assert.ok(Date.now() - startedMs < 1_500)
})

test('starts twenty pods within a few seconds', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `many-${index}`)
  const startedMs = Date.now()
  await Promise.all(names.map((name) => cluster.createPod(name, { containers: [script('c', stay)] })))
  for (const name of names) await cluster.untilPod(name, 'is ready', isReady)
  const tookMs = Date.now() - startedMs
  assert.ok(tookMs < 8_000, `${tookMs} ms`)
  await Promise.all(names.map((name) => remove(name)))
})

test.run()
