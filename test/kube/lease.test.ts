import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runAsLeader } from '../../src/runtime/kube/lease.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'

const test = suite('kube/lease')

type Lease = KubeObject & { spec: { holderIdentity: string; leaseTransitions: number } }

function world() {
  const kube = new FakeKube()
  const clock = new FakeClock()
  const leaders = new Set<string>()
  const log: string[] = []
  const compete = (identity: string, client = kube) => {
    const stopping = new AbortController()
    const done = runAsLeader(
      {
        client,
        namespace: 'linkerd',
        name: 'lease',
        identity,
        clock,
        signal: stopping.signal,
        random: () => 0,
      },
      async (signal) => {
        assert.is(leaders.size, 0, `${identity} leads beside ${[...leaders]}`)
        leaders.add(identity)
        log.push(identity)
        await new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        )
        leaders.delete(identity)
      },
    )
    return {
      stop: async () => {
        stopping.abort(new Error('stop'))
        await done
      },
    }
  }
  const lease = async () => (await kube.read<Lease>(resources.leases, 'lease', 'linkerd'))?.spec
  return { kube, clock, leaders, log, compete, lease }
}

test('of three one leads, and keeps leading', async () => {
  const { clock, leaders, log, compete, lease } = world()
  const competitors = ['a', 'b', 'c'].map((identity) => compete(identity))
  await clock.advance(60_000)
  assert.equal([...leaders], log)
  assert.is(log.length, 1)
  assert.is((await lease())?.holderIdentity, log[0])
  await Promise.all(competitors.map(({ stop }) => stop()))
})

test('a leader that stops gives the lease back, and the next leads at once', async () => {
  const { clock, log, compete, lease } = world()
  const first = compete('a')
  await clock.advance(0)
  const second = compete('b')
  await clock.advance(10_000)
  await first.stop()
  await clock.advance(2_000)
  assert.equal(log, ['a', 'b'])
  assert.is((await lease())?.leaseTransitions, 1)
  await second.stop()
  assert.is((await lease())?.holderIdentity, '')
})

test('a leader that cannot renew steps down before another may lead', async () => {
  const { clock, leaders, log, compete, kube } = world()
  const cut = Object.create(kube) as FakeKube
  let isCut = false
  for (const verb of ['read', 'create', 'replace'] as const) {
    cut[verb] = (async (...args: [never, never, never]) => {
      if (isCut) throw new Error('unreachable')
      return await kube[verb](...args)
    }) as never
  }
  const first = compete('a', cut)
  await clock.advance(0)
  const second = compete('b')
  await clock.advance(10_000)
  isCut = true
  assert.equal([...leaders], ['a'])
  await clock.advance(13_000)
  assert.equal([...leaders], [])
  await clock.advance(10_000)
  assert.equal(log, ['a', 'b'])
  await Promise.all([first.stop(), second.stop()])
})

test('a lease whose holder has died is taken over after its duration, whatever times it says', async () => {
  const { clock, log, compete, kube } = world()
  kube.put<KubeObject & { spec: object }>(resources.leases, {
    metadata: { name: 'lease', namespace: 'linkerd' },
    spec: { holderIdentity: 'dead', renewTime: '2099-01-01T00:00:00.000000Z', leaseDurationSeconds: 15 },
  })
  const next = compete('a')
  await clock.advance(14_000)
  assert.equal(log, [])
  await clock.advance(6_000)
  assert.equal(log, ['a'])
  await next.stop()
})

test.run()
