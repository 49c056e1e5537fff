import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Cluster,
  call,
  deployPeer,
  execute,
  installMesh,
  type Protocol,
  podsOf,
  proxyMetrics,
  shown,
  startCluster,
  until,
} from './cluster.ts'

const test = suite('rotation of the trust anchor')

let cluster: Cluster
let client = ''

test.before(
  shown(async () => {
    cluster = await startCluster('rotation')
    // The last stage waits for the last certificate under the old anchor to end: here after 22 s instead of a day.
    await installMesh(cluster, ['--identity-issuance-lifetime=20s', '--set=identity.clockSkewAllowance=2s'])
    await deployPeer(cluster, { namespace: 'app', name: 'server', meshed: true })
    await deployPeer(cluster, { namespace: 'client', name: 'client', meshed: true })
    await deployPeer(cluster, { namespace: 'prober', name: 'prober', meshed: false })
    client = (await podsOf(cluster, 'client', 'client'))[0] ?? ''
  }),
)

test.after(
  shown(async () => {
    await cluster?.stop()
  }),
)

interface Pods {
  items: {
    metadata: { namespace: string; name: string; uid: string }
    status: { podIP: string; initContainerStatuses?: { name: string; restartCount: number }[] }
  }[]
}

/** Each proxy with how often it was restarted. */
async function proxies(): Promise<string[]> {
  const listed = JSON.parse(await cluster.mustKubectl(['get', 'pods', '-A', '-o', 'json'])) as Pods
  return listed.items
    .map(({ metadata, status }) => {
      const proxy = status.initContainerStatuses?.find(({ name }) => name === 'linkerd-proxy')
      return `${metadata.namespace}/${metadata.name} ${metadata.uid} ${proxy?.restartCount}`
    })
    .sort()
}

async function anchorsPem(): Promise<string> {
  return cluster.mustKubectl([
    ...['get', 'configmap', '-n', 'linkerd', 'linkerd-identity-trust-roots'],
    ...['-o', 'jsonpath={.data.ca-bundle\\.crt}'],
  ])
}

/** Calls the server until told to stop; returns what failed, and how many calls there were. */
function keepCalling(protocol: Protocol): { stop: () => Promise<{ calls: number; failures: string[] }> } {
  let isStopped = false
  const failures: string[] = []
  let calls = 0
  const ended = (async () => {
    while (!isStopped) {
      const result = await call(
        cluster,
        { namespace: 'client', pod: client },
        { host: 'server.app.svc.cluster.local', protocol },
      )
      calls += 1
      if (!result.ok) failures.push(`${new Date().toISOString()} ${JSON.stringify(result)}`)
    }
  })()
  return {
    stop: async () => {
      isStopped = true
      await ended
      return { calls, failures }
    },
  }
}

const identity = 'server.app.serviceaccount.identity.linkerd.cluster.local'
const certificatePattern = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n?/g

/** What openssl says of the chain that the server's proxy shows, with these anchors. */
async function verify(anchors: string): Promise<string> {
  const listed = JSON.parse(await cluster.mustKubectl(['get', 'pods', '-n', 'app', '-o', 'json'])) as Pods
  const address = listed.items[0]?.status.podIP ?? ''
  const [prober = ''] = await podsOf(cluster, 'prober', 'prober')
  const command = `openssl s_client -connect ${address}:4143 -servername ${identity} -showcerts </dev/null 2>&1; true`
  const said = await cluster.mustKubectl(['exec', '-n', 'prober', prober, '--', 'sh', '-c', command])
  const [leaf = '', ...chain] = said.match(certificatePattern) ?? []
  const file = async (name: string, text: string) => {
    await writeFile(path.join(cluster.home, name), text)
    return path.join(cluster.home, name)
  }
  const finished = await execute('openssl', [
    ...['verify', '-x509_strict', '-verify_hostname', identity],
    ...['-CAfile', await file('anchors.pem', anchors)],
    ...['-untrusted', await file('chain.pem', chain.join('')), await file('leaf.pem', leaf)],
  ])
  return finished.stdout + finished.stderr
}

test('the anchor is replaced under traffic, without a failed request and without a restart', async () => {
  const before = { proxies: await proxies(), anchors: await anchorsPem() }
  const traffic = [keepCalling('http1'), keepCalling('tcp')]
  const rotated = await cluster.mesh(['identity', 'rotate', '--wait', '--timeout', '80s'])
  const results = await Promise.all(traffic.map(({ stop }) => stop()))
  assert.is(rotated.code, 0, rotated.stderr)
  assert.match(rotated.stdout, 'rotated')
  for (const stage of ['distribute', 'retire']) assert.match(rotated.stderr, stage)
  for (const { calls, failures } of results) {
    assert.equal(failures, [])
    assert.ok(calls > 20, `${calls} calls`)
  }
  assert.equal(await proxies(), before.proxies)

  const after = await anchorsPem()
  assert.is(after.match(certificatePattern)?.length, 1)
  assert.not(before.anchors.includes(after.trim()))
  assert.match(await verify(after), /: OK/)
  assert.match(await verify(before.anchors), /verification failed|unable to get|signature failure/)
})

test('the state of the authority tells of it', async () => {
  const shownState = await cluster.mesh(['identity', 'status', '-o', 'json'])
  assert.is(shownState.code, 0, shownState.stderr)
  const state = JSON.parse(shownState.stdout) as {
    stage: string
    rotatedAt?: string
    certificates: { what: string }[]
  }
  assert.is(state.stage, 'idle')
  assert.ok(state.rotatedAt !== undefined)
  assert.equal(
    state.certificates.map(({ what }) => what),
    ['trust anchor', 'issuer'],
  )
})

/** Ends the proxy of a pod as a crash would. @returns how many processes there were */
async function killProxy(pod: string): Promise<number> {
  let killed = 0
  for (const pid of await readdir('/proc')) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (!environment.split('\0').includes(`_pod_name=${pod}`)) continue
    process.kill(Number(pid), 'SIGKILL')
    killed += 1
  }
  return killed
}

test('a container that starts again trusts the new anchor, though its pod was made with the old one', async () => {
  const [server = ''] = await podsOf(cluster, 'app', 'server')
  const before = await proxies()
  assert.is(await killProxy(server), 1)
  await until('the proxy was restarted', async () =>
    (await proxies()).join() === before.join() ? undefined : true,
  )
  const metrics = await until('it has a certificate', async () => {
    const samples = await proxyMetrics(cluster, 'app', server)
    return samples.find(
      ({ name, value }) => name === 'identity_cert_expiration_timestamp_seconds' && value > 0,
    )
  })
  assert.ok(metrics.value * 1000 > Date.now())
  await until('it is called over mutual TLS', async () => {
    const from = { namespace: 'client', pod: client }
    const to = { host: 'server.app.svc.cluster.local', protocol: 'tcp' as const }
    return (await call(cluster, from, to)).ok ? true : undefined
  })
})

test.run()
