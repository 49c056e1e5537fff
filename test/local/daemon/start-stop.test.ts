import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { connect, type KubeConnection } from '../../../src/runtime/kube/client.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { clusterState } from '../../../src/runtime/local/cluster-state.ts'
import type { Pod } from '../../../src/runtime/local/objects.ts'
import { type StatePaths, statePaths } from '../../../src/runtime/local/paths.ts'
import { childOf, readProcessRecord } from '../../../src/runtime/local/process-record.ts'
import { startCluster } from '../../../src/runtime/local/start-cluster.ts'
import { stopCluster } from '../../../src/runtime/local/stop-cluster.ts'
import { MeshError } from '../../../src/runtime/shared/errors.ts'
import { until } from '../../support/until.ts'
import { script } from '../node/test-cluster.ts'
import { machineState, processesWith } from './machine-state.ts'

const test = suite('local/daemon/start-stop')
let home: string
let paths: StatePaths
const env = (name: string) => (name === 'MESH_HOME' ? home : name === 'PATH' ? process.env.PATH : undefined)
const options = () => ({ name: 'test', paths, port: 0, images: {}, waitMs: 20_000, env })

test.before.each(async () => {
  home = await mkdtemp(join(tmpdir(), 'mesh-start-'))
  paths = statePaths('test', env)
})

test.after.each(async () => {
  await stopCluster(paths)
  await rm(home, { recursive: true, force: true })
})

/** Starts a pod whose command line holds a word that no other has, and waits until it runs. */
async function runMarkedPod(word: string): Promise<void> {
  const client: KubeConnection = connect({ kubeconfig: paths.kubeconfig }, env)
  await client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: word, namespace: 'default' },
    spec: { containers: [script('c', `: ${word}; while :; do sleep 0.1; done`)] },
  })
  await until('the pod runs', async () => {
    const pod = await client.read<Pod>(resources.pods, word, 'default')
    return pod?.status?.phase === 'Running'
  })
  client.close()
  assert.ok(processesWith(word).length > 0)
}

test('leaves nothing behind when it is stopped', async () => {
  const before = machineState()
  await startCluster(options())
  assert.is(statSync(paths.kubeconfig).mode & 0o777, 0o600)
  await runMarkedPod('marked-ordered')
  assert.equal(machineState(), before)
  assert.is(await stopCluster(paths), 'stopped')
  assert.equal(machineState(), before)
  assert.equal(processesWith('marked-ordered'), [])
  assert.equal(processesWith(home), [])
  assert.not.ok(existsSync(home))
})

test('starts once: a second start finds it running and adds images', async () => {
  assert.is(await startCluster(options()), 'started')
  const first = readProcessRecord(paths.pid)
  assert.is(await startCluster({ ...options(), images: { extra: { argv: ['true'] } } }), 'running')
  assert.equal(readProcessRecord(paths.pid), first)
  const state = clusterState(paths)
  assert.ok(state.isRunning)
  if (state.isRunning) assert.equal(state.images.extra, { argv: ['true'] })
})

test('of two starts at the same time one starts it, and the other finds it', async () => {
  const outcomes = await Promise.all([startCluster(options()), startCluster(options())])
  assert.equal(outcomes.sort(), ['running', 'started'])
  const outermost = processesWith('readyFd').filter((line) => line.includes(home) && line.includes('unshare'))
  assert.is(outermost.length, 1)
})

test('can be stopped and started again after its daemon was killed', async () => {
  const before = machineState()
  await startCluster(options())
  await runMarkedPod('marked-killed')
  const record = readProcessRecord(paths.pid)
  const daemon = childOf(record?.pid ?? 0)
  process.kill(daemon ?? 0, 'SIGKILL')
  await until('its processes are gone', () => processesWith('marked-killed').length === 0)
  await until('it does not run any more', () => !clusterState(paths).isRunning)
  assert.equal(machineState(), before)
  assert.is(await startCluster(options()), 'started')
  assert.is(await stopCluster(paths), 'stopped')
  assert.is(await stopCluster(paths), 'absent')
})

test('ends with its outermost process', async () => {
  await startCluster(options())
  await runMarkedPod('marked-outer')
  process.kill(readProcessRecord(paths.pid)?.pid ?? 0, 'SIGKILL')
  await until('its processes are gone', () => processesWith('marked-outer').length === 0)
  assert.is(await stopCluster(paths), 'cleaned')
  assert.not.ok(existsSync(home))
})

test('outlives its starter, and can be stopped when that was killed on the way', async () => {
  const program = join(home, 'starter.mts')
  const module = (name: string) =>
    fileURLToPath(new URL(`../../../src/runtime/local/${name}.ts`, import.meta.url))
  await writeFile(
    program,
    `import { startCluster } from ${JSON.stringify(module('start-cluster'))}
     import { statePaths } from ${JSON.stringify(module('paths'))}
     const env = (name) => name === 'MESH_HOME' ? ${JSON.stringify(home)} : process.env[name]
     await startCluster({ name: 'test', paths: statePaths('test', env), port: 0, images: {}, waitMs: 20000, env })`,
  )
  const starter = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), program], {
    stdio: 'ignore',
  })
  await until('the daemon is started', () => readProcessRecord(paths.pid) !== undefined)
  starter.kill('SIGKILL')
  await until('the daemon is ready', () => clusterState(paths).isRunning, 20_000)
  await runMarkedPod('marked-orphan')
  assert.is(await stopCluster(paths), 'stopped')
  assert.equal(processesWith('marked-orphan'), [])
  assert.not.ok(existsSync(paths.folder))
})

test('does not take a stranger for its own process', async () => {
  await startCluster(options())
  const record = await readFile(paths.pid, 'utf8')
  await stopCluster(paths)
  const { mkdir } = await import('node:fs/promises')
  await mkdir(paths.folder, { recursive: true })
  // The number now belongs to this very process, which started at another time.
  await writeFile(paths.pid, record.replace(/^\d+/, String(process.pid)))
  assert.is(await stopCluster(paths), 'cleaned')
})

test('tells when the port is taken', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    await startCluster({ ...options(), port })
    assert.unreachable()
  } catch (error) {
    assert.instance(error, MeshError)
    assert.is((error as MeshError).code, 'MESH_LOCAL_PORT')
  } finally {
    server.close()
  }
})

test('writes only into its folder', async () => {
  await startCluster(options())
  assert.equal(await readdir(home), ['local'])
  const names = ['daemon.log', 'images.json', 'kubeconfig', 'pid', 'pods', 'status.json']
  assert.equal((await readdir(paths.folder)).sort(), names)
})

test.run()
