import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { WatchEvent } from '../../../src/runtime/kube/types.ts'
import type { StoredObject } from '../../../src/runtime/local/apiserver/objects.ts'
import { Store } from '../../../src/runtime/local/apiserver/store.ts'

const test = suite('local/apiserver/store')
const pods = resources.pods

function pod(name: string, extra: Record<string, unknown> = {}, namespace = 'default'): StoredObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, ...extra }
}

function statusOf(action: () => unknown): number {
  try {
    action()
  } catch (error) {
    return (error as { status: number }).status
  }
  return 200
}

async function take<T>(events: AsyncIterable<WatchEvent<T>>, count: number): Promise<WatchEvent<T>[]> {
  const taken: WatchEvent<T>[] = []
  for await (const event of events) {
    taken.push(event)
    if (taken.length === count) break
  }
  return taken
}

function signal(): AbortSignal {
  return AbortSignal.timeout(5000)
}

test('gives each change the next version of one counter', () => {
  const store = new Store()
  const first = store.create(pods, pod('a'))
  const second = store.create<StoredObject>(resources.configMaps, {
    metadata: { name: 'c', namespace: 'default' },
  })
  assert.is(Number(second.metadata.resourceVersion), Number(first.metadata.resourceVersion) + 1)
  assert.ok(first.metadata.uid)
  assert.match(first.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
})

test('refuses to create twice, and to change what is not there', () => {
  const store = new Store()
  store.create(pods, pod('a'))
  assert.is(
    statusOf(() => store.create(pods, pod('a'))),
    409,
  )
  assert.is(
    statusOf(() => store.update(pods, { name: 'b', namespace: 'default' }, (object) => object)),
    404,
  )
  assert.is(
    statusOf(() => store.remove(pods, { name: 'b', namespace: 'default' })),
    404,
  )
})

test('refuses a change on top of an old version', () => {
  const store = new Store()
  const ref = { name: 'a', namespace: 'default' }
  const created = store.create(pods, pod('a'))
  store.update(pods, ref, (object) => ({ ...object, spec: { x: 1 } }))
  const late = () =>
    store.update(pods, ref, (object) => object, { expectedVersion: created.metadata.resourceVersion })
  assert.is(statusOf(late), 409)
})

test('uses no version for a change that changes nothing', () => {
  const store = new Store()
  const created = store.create(pods, pod('a', { spec: { x: 1 } }))
  const same = store.update(pods, { name: 'a', namespace: 'default' }, (object) => ({
    ...object,
    spec: { x: 1 },
  }))
  assert.is(same.metadata.resourceVersion, created.metadata.resourceVersion)
})

test('hands out objects that nobody can change', () => {
  const store = new Store()
  const created = store.create(pods, pod('a', { spec: { x: 1 } }))
  assert.throws(() => {
    ;(created.spec as { x: number }).x = 2
  })
})

test('lists by namespace, labels and fields, sorted', () => {
  const store = new Store()
  store.create(pods, pod('b', { spec: { nodeName: 'n1' } }))
  store.create(pods, { ...pod('a'), metadata: { name: 'a', namespace: 'default', labels: { app: 'x' } } })
  store.create(pods, pod('c', {}, 'other'))
  const names = (options: object) => store.list(pods, options).items.map((item) => item.metadata.name)
  assert.equal(names({}), ['a', 'b', 'c'])
  assert.equal(names({ namespace: 'default' }), ['a', 'b'])
  assert.equal(names({ labelSelector: 'app in (x)' }), ['a'])
  assert.equal(names({ fieldSelector: 'spec.nodeName=n1' }), ['b'])
})

test('watches from a version on', async () => {
  const store = new Store()
  const created = store.create(pods, pod('a'))
  store.update(pods, { name: 'a', namespace: 'default' }, (object) => ({ ...object, spec: { x: 1 } }))
  const watch = store.watch(pods, { fromVersion: created.metadata.resourceVersion ?? '', signal: signal() })
  setImmediate(() => store.remove(pods, { name: 'a', namespace: 'default' }))
  const events = await take(watch, 2)
  assert.equal(
    events.map((event) => event.type),
    ['MODIFIED', 'DELETED'],
  )
})

test('starts a watch without version with what is there', async () => {
  const store = new Store()
  store.create(pods, pod('a'))
  const events = await take(store.watch(pods, { initialBookmark: true, signal: signal() }), 2)
  assert.equal(
    events.map((event) => event.type),
    ['ADDED', 'BOOKMARK'],
  )
})

test('reports an object that leaves a selector as deleted, and one that enters as added', async () => {
  const store = new Store()
  const ref = { name: 'a', namespace: 'default' }
  store.create(pods, pod('a'))
  const from = store.resourceVersion
  for (const app of ['x', 'y']) {
    store.update(pods, ref, (object) => ({ ...object, metadata: { ...object.metadata, labels: { app } } }))
  }
  const watch = store.watch(pods, { labelSelector: 'app=x', fromVersion: from, signal: signal() })
  const events = await take(watch, 2)
  assert.equal(
    events.map((event) => event.type),
    ['ADDED', 'DELETED'],
  )
})

test('answers 410 for a version that is no longer remembered', async () => {
  const store = new Store({ historyLimit: 4 })
  const first = store.create(pods, pod('a'))
  for (let index = 0; index < 20; index++) {
    store.update(pods, { name: 'a', namespace: 'default' }, (object) => ({ ...object, spec: { index } }))
  }
  const watch = store.watch(pods, { fromVersion: first.metadata.resourceVersion ?? '', signal: signal() })
  const error = await take(watch, 1).catch((thrown: unknown) => thrown)
  assert.is((error as { status: number }).status, 410)
})

test('sends bookmarks with the latest version, of whatever resource', async () => {
  let nowMs = 0
  const waiting: (() => void)[] = []
  const clock = {
    nowMs: () => nowMs,
    sleep: (durationMs: number) =>
      new Promise<void>((resolve) =>
        waiting.push(() => {
          nowMs += durationMs
          resolve()
        }),
      ),
  }
  const store = new Store({ clock })
  store.create(pods, pod('a'))
  const watch = store.watch(pods, { fromVersion: '1', bookmarkIntervalMs: 1000, signal: signal() })
  const taken = take(watch, 1)
  await new Promise((resolve) => setImmediate(resolve))
  store.create(resources.configMaps, { metadata: { name: 'c', namespace: 'default' } })
  waiting.shift()?.()
  const [event] = await taken
  assert.is(event?.type, 'BOOKMARK')
  assert.is(event?.object.metadata.resourceVersion, '2')
})

test('ends a watch when its signal aborts', async () => {
  const store = new Store()
  const stop = new AbortController()
  const done = take(store.watch(pods, { signal: stop.signal }), 1)
  stop.abort()
  assert.equal(await done, [])
})

test('keeps a running pod until its grace period is over', () => {
  const store = new Store()
  const ref = { name: 'a', namespace: 'default' }
  store.create(pods, pod('a', { spec: { nodeName: 'n', terminationGracePeriodSeconds: 7 } }))
  const { object, gone } = store.remove(pods, ref)
  assert.not(gone)
  assert.is(object.metadata.deletionGracePeriodSeconds, 7)
  assert.ok(object.metadata.deletionTimestamp)
  // A second, longer period changes nothing; zero ends it.
  assert.is(store.remove(pods, ref, { gracePeriodSeconds: 60 }).object.metadata.deletionGracePeriodSeconds, 7)
  assert.ok(store.remove(pods, ref, { gracePeriodSeconds: 0 }).gone)
  assert.is(store.get(pods, 'a', 'default'), undefined)
})

test('removes pods at once that have no node or have ended', () => {
  const store = new Store()
  store.create(pods, pod('new'))
  store.create(pods, pod('done', { spec: { nodeName: 'n' }, status: { phase: 'Succeeded' } }))
  assert.ok(store.remove(pods, { name: 'new', namespace: 'default' }).gone)
  assert.ok(store.remove(pods, { name: 'done', namespace: 'default' }).gone)
})

test('keeps an object with finalizers until the last is gone', () => {
  const store = new Store()
  const ref = { name: 'c', namespace: 'default' }
  const metadata = { ...ref, finalizers: ['example.com/a'] }
  store.create(resources.configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
  assert.not(store.remove(resources.configMaps, ref).gone)
  store.update(resources.configMaps, ref, (object) => ({
    ...object,
    metadata: { ...object.metadata, finalizers: [] },
  }))
  assert.is(store.get(resources.configMaps, 'c', 'default'), undefined)
})

test('honours the preconditions of a deletion', () => {
  const store = new Store()
  const ref = { name: 'a', namespace: 'default' }
  const created = store.create(pods, pod('a'))
  assert.is(
    statusOf(() => store.remove(pods, ref, { preconditions: { uid: 'another' } })),
    409,
  )
  assert.is(
    statusOf(() => store.remove(pods, ref, { preconditions: { resourceVersion: '99' } })),
    409,
  )
  assert.ok(store.remove(pods, ref, { preconditions: { uid: created.metadata.uid ?? '' } }).gone)
})

test.run()
