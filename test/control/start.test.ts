import { pino } from 'pino'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ControllerDeps, ControllerModule } from '../../src/runtime/control/deps.ts'
import { parseFlags } from '../../src/runtime/control/flags.ts'
import { parseListenAddress } from '../../src/runtime/control/server.ts'
import { startController } from '../../src/runtime/control/start.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { FakeClock, settle } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'
import { until } from '../support/until.ts'

const test = suite('control/start')

interface Run {
  exitCode: Promise<number>
  stop: () => void
  clock: FakeClock
  printed: string[]
  logged: { code?: string; msg?: string; admin?: { port: number } }[]
}

function start(args: string[], module: ControllerModule): Run {
  const stopping = new AbortController()
  const clock = new FakeClock()
  const printed: string[] = []
  const logged: Run['logged'] = []
  const logger = pino(
    { level: 'info' },
    { write: (line: string) => logged.push(JSON.parse(line) as Run['logged'][number]) },
  )
  const exitCode = startController(args, {
    components: { identity: { adminAddr: '127.0.0.1:0', load: () => Promise.resolve(module) } },
    env: () => undefined,
    signal: stopping.signal,
    print: (text) => printed.push(text),
    clock,
    connectKube: () => new FakeKube(),
    logger,
  })
  return { exitCode, stop: () => stopping.abort(new Error('told to stop')), clock, printed, logged }
}

const untilStopped = (deps: ControllerDeps) =>
  new Promise<void>((resolve) => deps.signal.addEventListener('abort', () => resolve(), { once: true }))

test('a component that is not known, or none, is a usage error that names those that are', async () => {
  for (const args of [[], ['gateway']]) {
    const { exitCode, logged } = start(args, { run: untilStopped })
    assert.is(await exitCode, 2)
    assert.is(logged.at(-1)?.code, 'MESH_CONTROLLER_UNKNOWN')
  }
})

test('wrong flags are a usage error', async () => {
  const flags = {
    size: {
      default: '1',
      description: 'Size',
      problem: (value: string) => (value === '1' ? undefined : 'it is 1'),
    },
  }
  for (const flag of ['--nonsense=1', '--size=2', '--log-level=loud', '--cluster-domain', 'word']) {
    const { exitCode, logged } = start(['identity', flag], { flags, run: untilStopped })
    assert.is(await exitCode, 2, flag)
    assert.is(logged.at(-1)?.code, 'MESH_CONTROLLER_FLAGS')
  }
})

test('flags reach the controller, with their defaults', async () => {
  let seen: ControllerDeps | undefined
  const flags = { 'listen-addr': { default: ':1', description: 'Where' } }
  const run = async (deps: ControllerDeps) => {
    seen = deps
  }
  const { exitCode } = start(['identity', '--controller-namespace=mesh', '--admin-addr='], { flags, run })
  assert.is(await exitCode, 0)
  assert.is(seen?.flags.controllerNamespace, 'mesh')
  assert.is(seen?.flags.clusterDomain, 'cluster.local')
  assert.equal(seen?.options, { 'listen-addr': ':1' })
})

test('--help prints the flags and runs nothing', async () => {
  const never = async () => {
    throw new Error('ran')
  }
  const { exitCode, printed } = start(['identity', '--help'], { run: never })
  assert.is(await exitCode, 0)
  assert.match(printed.join(''), '--identity-trust-domain')
})

test('the admin server tells what is missing, and the metrics', async () => {
  let deps: ControllerDeps | undefined
  const run = async (given: ControllerDeps) => {
    deps = given
    given.ready('issuer')
    await untilStopped(given)
  }
  const { exitCode, stop, logged } = start(['identity'], { run })
  await until('it serves', () => deps !== undefined && logged.some(({ admin }) => admin !== undefined))
  const port = logged.find(({ admin }) => admin !== undefined)?.admin?.port
  const get = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return `${answer.status} ${(await answer.text()).trim()}`
  }
  assert.is(await get('/ready'), '503 not ready\nissuer: starting')
  assert.is(await get('/live?x'), '200 live')
  assert.is(await get('/ping'), '200 pong')
  assert.match(await get('/metrics'), 'process_cpu_seconds_total')
  assert.match(await get('/other'), '404')
  assert.match(await get('/ready', 'POST'), '405')
  stop()
  assert.is(await exitCode, 0)
})

test('what goes wrong ends it with the code of its kind', async () => {
  const failing = (error: Error) => async () => {
    throw error
  }
  const environment = new MeshError({ code: 'MESH_X', kind: 'environment', message: 'x' })
  const first = start(['identity'], { run: failing(environment) })
  assert.is(await first.exitCode, 1)
  assert.is(first.logged.at(-1)?.code, 'MESH_X')
  const second = start(['identity'], { run: failing(new TypeError('undefined is not a function')) })
  assert.is(await second.exitCode, 70)
  assert.is(second.logged.at(-1)?.code, 'MESH_BUG')
})

test('a controller that does not end is cut short after the grace period', async () => {
  let isRunning = false
  const run = () => {
    isRunning = true
    return new Promise<void>(() => {})
  }
  const { exitCode, stop, clock, logged } = start(['identity', '--shutdown-grace-period=3s'], { run })
  await until('it runs', () => isRunning)
  stop()
  await settle()
  await clock.advance(2_999)
  assert.not(logged.some(({ msg }) => msg?.includes('not everything closed')))
  await clock.advance(1)
  assert.is(await exitCode, 0)
  assert.ok(logged.some(({ msg }) => msg?.includes('not everything closed')))
})

test('in a pod the service account counts, whatever kubeconfig lies about', async () => {
  const logged: { code?: string; msg?: string }[] = []
  const exitCode = await startController(['identity', '--admin-addr='], {
    components: { identity: { adminAddr: '', load: async () => ({ run: async () => {} }) } },
    env: (name) => ({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBECONFIG: '/somebody/else' })[name],
    signal: new AbortController().signal,
    print: () => {},
    logger: pino(
      { level: 'info' },
      { write: (line: string) => logged.push(JSON.parse(line) as { msg: string }) },
    ),
  })
  assert.is(exitCode, 1)
  assert.match(logged.at(-1)?.msg ?? '', 'not a pod with a service account')
})

test('addresses to listen on', () => {
  assert.equal(parseListenAddress(':80'), { port: 80 })
  assert.equal(parseListenAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  assert.equal(parseListenAddress('[::1]:80'), { host: '::1', port: 80 })
  for (const text of ['', '80', ':x', ':70000', '::1:80', 'a:b:1', '[x]:1']) {
    assert.throws(
      () => parseListenAddress(text),
      (error: unknown) => error instanceof MeshError,
      text,
    )
  }
})

test('an empty flag is empty, not its default', () => {
  assert.is(parseFlags(['--admin-addr='], 'x', ':9990', {}).flags.adminAddr, '')
  assert.is(parseFlags([], 'x', ':9990', {}).flags.adminAddr, ':9990')
})

test.run()
