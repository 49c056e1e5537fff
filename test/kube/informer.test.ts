import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Informer, type InformerOptions, startInformer } from '../../src/runtime/kube/informer.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import { KubeError, type KubeObject } from '../../src/runtime/kube/types.ts'
import { FakeClock, settle } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'

const test = suite('kube/informer')

interface World {
  kube: FakeKube
  clock: FakeClock
  informer: Informer<KubeObject>
  changes: string[]
  errors: unknown[]
  stop: () => void
}

function pod(name: string, labels: Record<string, string> = {}, namespace = 'shop'): KubeObject {
  return { metadata: { name, namespace, labels } }
}

function start(options: Partial<InformerOptions<KubeObject>> = {}, kube = new FakeKube()): World {
  const clock = new FakeClock()
  const stopping = new AbortController()
  const errors: unknown[] = []
  const changes: string[] = []
  const informer = startInformer<KubeObject>(kube, resources.pods, {
    clock,
    signal: stopping.signal,
    random: () => 1,
    onError: (error) => errors.push(error),
    ...options,
  })
  informer.onChange((change) => {
    const before = change.kind === 'updated' ? `${change.previous.metadata.labels?.v}→` : ''
    changes.push(
      `${change.kind} ${change.object.metadata.name} ${before}${change.object.metadata.labels?.v ?? ''}`.trim(),
    )
  })
  return { kube, clock, informer, changes, errors, stop: () => stopping.abort(new Error('stop')) }
}

const names = (objects: KubeObject[]) => objects.map(({ metadata }) => metadata.name).sort()

test('holds what is listed and follows what changes', async () => {
  const kube = new FakeKube()
  kube.put(resources.pods, pod('a', { v: '1' }), pod('b', {}, 'other'))
  const { informer, changes, stop } = start({}, kube)
  await informer.synced
  assert.equal(names(informer.list()), ['a', 'b'])
  await settle()
  kube.put(resources.pods, pod('a', { v: '2' }), pod('c'))
  await kube.remove(resources.pods, 'b', 'other')
  await settle()
  assert.equal(changes, ['added a 1', 'added b', 'updated a 1→2', 'added c', 'deleted b'])
  assert.equal(names(informer.byNamespace('shop')), ['a', 'c'])
  assert.equal(informer.byNamespace('other'), [])
  assert.is(informer.get('shop', 'a')?.metadata.labels?.v, '2')
  assert.is(informer.get('shop', 'b'), undefined)
  stop()
})

test('a watch that ends is taken up again where it ended', async () => {
  const { kube, clock, informer, changes, errors, stop } = start()
  await informer.synced
  await settle()
  for (const name of ['a', 'b', 'c']) {
    kube.breakWatches()
    kube.put(resources.pods, pod(name))
    await clock.advance(1_000)
  }
  assert.equal(changes, ['added a', 'added b', 'added c'])
  assert.equal(errors, [])
  stop()
})

test('after 410 everything is listed again, and the difference told', async () => {
  const { kube, clock, informer, changes, errors, stop } = start()
  kube.put(resources.pods, pod('a', { v: '1' }), pod('b'), pod('same'))
  await informer.synced
  await settle()
  changes.length = 0
  kube.breakWatches(new KubeError(410, 'Expired', 'too old'))
  kube.put(resources.pods, pod('a', { v: '2' }), pod('c'))
  await kube.remove(resources.pods, 'b', 'shop')
  kube.forgetHistory()
  await clock.advance(60_000)
  assert.equal(changes.toSorted(), ['added c', 'deleted b', 'updated a 1→2'])
  assert.equal(errors, [])
  stop()
})

test('while the API is out of reach the last state stays, and retries get rarer', async () => {
  const { kube, clock, informer, errors, stop } = start()
  kube.put(resources.pods, pod('a'))
  await informer.synced
  await settle()
  const calls: number[] = []
  kube.onCall = () => {
    calls.push(clock.nowMs())
    throw new Error('unreachable')
  }
  kube.breakWatches(new Error('unreachable'))
  await clock.advance(120_000)
  assert.equal(names(informer.list()), ['a'])
  const gaps = calls.slice(1).map((atMs, index) => atMs - (calls[index] ?? 0))
  assert.equal(gaps.slice(0, 4), [2_000, 4_000, 8_000, 16_000])
  assert.ok(gaps.slice(5).every((gap) => gap === 30_000))
  assert.ok(errors.length >= 8)
  kube.onCall = () => {}
  kube.put(resources.pods, pod('b'))
  await clock.advance(30_000)
  assert.equal(names(informer.list()), ['a', 'b'])
  stop()
})

test('a watch that falls silent is taken for dead and everything listed again', async () => {
  const { kube, clock, informer, errors, stop } = start({ staleAfterMs: 60_000 })
  await informer.synced
  await settle()
  let lists = 0
  kube.onCall = (verb) => {
    if (verb === 'list') lists += 1
  }
  await clock.advance(40_000)
  kube.put(resources.pods, pod('a'))
  await clock.advance(40_000)
  assert.is(lists, 0)
  assert.is(clock.nowMs() - informer.lastEventMs, 40_000)
  await clock.advance(30_000)
  assert.is(lists, 1)
  assert.is(kube.watchCount, 1)
  assert.match(String(errors[0]), 'silent for 60 s')
  stop()
})

test('a kind that the server does not know counts as empty, and is found when its CRD comes', async () => {
  const kube = new FakeKube()
  kube.missingKinds.add('pods')
  const { clock, informer, stop } = start({}, kube)
  await informer.synced
  assert.equal(informer.list(), [])
  kube.missingKinds.clear()
  kube.put(resources.pods, pod('a'))
  await clock.advance(30_000)
  assert.equal(names(informer.list()), ['a'])
  stop()
})

test('selectors and namespace are passed on', async () => {
  const kube = new FakeKube()
  kube.put(resources.pods, pod('a', { app: 'x' }), pod('b'), pod('c', { app: 'x' }, 'other'))
  const { informer, stop } = start({ namespace: 'shop', labelSelector: 'app=x' }, kube)
  await informer.synced
  assert.equal(names(informer.list()), ['a'])
  stop()
})

test('objects are kept small', async () => {
  const kube = new FakeKube()
  const big = { ...pod('a'), spec: 'large' }
  Object.assign(big.metadata, { managedFields: ['large'] })
  kube.put(resources.pods, big)
  const transform = (object: KubeObject) => ({ metadata: object.metadata })
  const { informer, stop } = start({ transform }, kube)
  await informer.synced
  const [kept] = informer.list()
  assert.equal(Object.keys(kept ?? {}), ['metadata'])
  assert.not('managedFields' in (kept?.metadata ?? {}))
  stop()
})

test('one listener’s defect stops neither the others nor the watch', async () => {
  const { kube, informer, changes, errors, stop } = start()
  const unsubscribe = informer.onChange(() => {
    throw new Error('defect')
  })
  await informer.synced
  await settle()
  kube.put(resources.pods, pod('a'))
  await settle()
  unsubscribe()
  kube.put(resources.pods, pod('b'))
  await settle()
  assert.equal(changes, ['added a', 'added b'])
  assert.is(errors.length, 1)
  stop()
})

test('the end: nothing is left waiting, and who still waits is told', async () => {
  const kube = new FakeKube()
  const { clock, informer, stop } = start({}, kube)
  await informer.synced
  await settle()
  stop()
  await settle()
  assert.is(kube.watchCount, 0)
  assert.is(clock.sleeperCount, 0)
  kube.onCall = () => {
    throw new Error('unreachable')
  }
  const second = start({}, kube)
  await settle()
  second.stop()
  assert.match(String(await second.informer.synced.catch((error: unknown) => error)), 'stop')
})

test.run()
