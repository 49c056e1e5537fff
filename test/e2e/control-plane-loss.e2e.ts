import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Cluster, call, deployPeer, installMesh, podsOf, shown, startCluster, until } from './cluster.ts'

const test = suite('loss of the control plane')

let cluster: Cluster
let client = ''

test.before(
  shown(async () => {
    cluster = await startCluster('loss')
    await installMesh(cluster)
    await deployPeer(cluster, { namespace: 'app', name: 'server', meshed: true, replicas: 2 })
    await deployPeer(cluster, { namespace: 'client', name: 'client', meshed: true })
    client = (await podsOf(cluster, 'client', 'client'))[0] ?? ''
  }),
)

test.after(
  shown(async () => {
    await cluster?.stop()
  }),
)

async function scale(deployment: string, replicas: number): Promise<void> {
  await cluster.mustKubectl(['scale', '-n', 'linkerd', `deploy/${deployment}`, `--replicas=${replicas}`])
  if (replicas > 0) {
    await cluster.mustKubectl(['rollout', 'status', '-n', 'linkerd', `deploy/${deployment}`, '--timeout=60s'])
    return
  }
  await until(`${deployment} is gone`, async () => {
    const listed = await cluster.mustKubectl([
      ...[
        'get',
        'pods',
        '-n',
        'linkerd',
        '-l',
        `linkerd.io/control-plane-component=${deployment.replace('linkerd-', '')}`,
      ],
      ...['-o', 'name'],
    ])
    return listed.trim() === '' ? true : undefined
  })
}

async function callServer(): Promise<boolean> {
  const result = await call(
    cluster,
    { namespace: 'client', pod: client },
    { host: 'server.app.svc.cluster.local', protocol: 'http1' },
  )
  if (!result.ok) throw new Error(JSON.stringify(result))
  return true
}

test('traffic goes on while destination is gone', async () => {
  await callServer()
  await scale('linkerd-destination', 0)
  for (let turn = 0; turn < 20; turn += 1) assert.ok(await callServer())
})

test('when destination is back, changes are seen again', async () => {
  await scale('linkerd-destination', 1)
  const before = await podsOf(cluster, 'app', 'server')
  await cluster.mustKubectl(['rollout', 'restart', '-n', 'app', 'deploy/server'])
  await cluster.mustKubectl(['rollout', 'status', '-n', 'app', 'deploy/server', '--timeout=60s'])
  const after = await podsOf(cluster, 'app', 'server')
  assert.is(after.filter((pod) => before.includes(pod)).length, 0, 'every pod is a new one')
  for (let turn = 0; turn < 20; turn += 1)
    assert.ok(await until('an answer of a new pod', async () => callServer()))
})

test('traffic goes on while identity is gone, and a new pod waits for it', async () => {
  await scale('linkerd-identity', 0)
  for (let turn = 0; turn < 20; turn += 1) assert.ok(await callServer())
  await cluster.mustKubectl(['scale', '-n', 'app', 'deploy/server', '--replicas=3'])
  const waiting = await until('a third pod', async () => {
    const pods = await podsOf(cluster, 'app', 'server')
    return pods.length === 3 ? pods : undefined
  })
  const statuses = JSON.parse(await cluster.mustKubectl(['get', 'pods', '-n', 'app', '-o', 'json'])) as {
    items: { status: { conditions?: { type: string; status: string }[] } }[]
  }
  const ready = statuses.items.filter((pod) =>
    pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  )
  assert.is(ready.length, waiting.length - 1, 'a pod without a certificate is not ready')
  for (let turn = 0; turn < 10; turn += 1) assert.ok(await callServer())
})

test('when identity is back, the waiting pod becomes ready', async () => {
  await scale('linkerd-identity', 1)
  await cluster.mustKubectl(['rollout', 'status', '-n', 'app', 'deploy/server', '--timeout=90s'])
  assert.ok(await callServer())
})

test.run()
