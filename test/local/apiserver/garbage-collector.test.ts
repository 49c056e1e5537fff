import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { sweepEvents } from '../../../src/runtime/local/apiserver/event-expiry.ts'
import { GarbageCollector } from '../../../src/runtime/local/apiserver/garbage-collector.ts'
import type { StoredObject } from '../../../src/runtime/local/apiserver/objects.ts'
import { Store } from '../../../src/runtime/local/apiserver/store.ts'
import { createLogger } from '../../../src/runtime/shared/logger.ts'
import { settle } from '../../support/fake-clock.ts'

const test = suite('local/apiserver/garbage-collector')
const { deployments, replicaSets, pods } = resources

function start(): Store {
  const store = new Store()
  new GarbageCollector(store, createLogger('test', 'silent'))
  return store
}

function object(kind: string, name: string, owners: StoredObject[] = [], extra: object = {}): StoredObject {
  const ownerReferences = owners.map((owner) => ({
    apiVersion: 'apps/v1',
    kind: owner.kind ?? '',
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }))
  return { apiVersion: 'v1', kind, metadata: { name, namespace: 'default', ownerReferences }, ...extra }
}

/** A deployment with a replica set with two pods. */
function family(store: Store): { deployment: StoredObject; replicaSet: StoredObject } {
  const deployment = store.create(deployments, object('Deployment', 'd'))
  const replicaSet = store.create(replicaSets, object('ReplicaSet', 'r', [deployment]))
  for (const name of ['p1', 'p2']) store.create(pods, object('Pod', name, [replicaSet]))
  return { deployment, replicaSet }
}

function count(store: Store): number[] {
  return [deployments, replicaSets, pods].map((resource) => store.list(resource).items.length)
}

const ref = (name: string) => ({ name, namespace: 'default' })

test('deletes dependents after their owner, all the way down', async () => {
  const store = start()
  family(store)
  store.remove(deployments, ref('d'))
  await settle()
  assert.equal(count(store), [0, 0, 0])
})

test('keeps dependents that have another owner', async () => {
  const store = start()
  const first = store.create(deployments, object('Deployment', 'first'))
  const second = store.create(deployments, object('Deployment', 'second'))
  store.create(replicaSets, object('ReplicaSet', 'r', [first, second]))
  store.remove(deployments, ref('first'))
  await settle()
  assert.equal(count(store), [1, 1, 0])
  store.remove(deployments, ref('second'))
  await settle()
  assert.equal(count(store), [0, 0, 0])
})

test('orphans dependents: they stay, without the reference', async () => {
  const store = start()
  family(store)
  store.remove(deployments, ref('d'), { propagationPolicy: 'Orphan' })
  await settle()
  assert.equal(count(store), [0, 1, 2])
  assert.is(store.get(replicaSets, 'r', 'default')?.metadata.ownerReferences, undefined)
})

test('deletes in the foreground: the owner goes last', async () => {
  const store = start()
  const deployment = store.create(deployments, object('Deployment', 'd'))
  const replicaSet = store.create(replicaSets, object('ReplicaSet', 'r', [deployment]))
  store.create(pods, object('Pod', 'p', [replicaSet], { spec: { nodeName: 'n' } }))
  store.remove(deployments, ref('d'), { propagationPolicy: 'Foreground' })
  await settle()
  assert.equal(count(store), [1, 1, 1], 'the pod has a grace period and holds both')
  store.remove(pods, ref('p'), { gracePeriodSeconds: 0 })
  await settle()
  assert.equal(count(store), [0, 0, 0])
})

test('deletes an object whose owner never was', async () => {
  const store = start()
  const ghost = { kind: 'Deployment', metadata: { name: 'ghost', uid: 'no-such-uid' } }
  store.create(replicaSets, object('ReplicaSet', 'r', [ghost]))
  await settle()
  assert.equal(count(store), [0, 0, 0])
})

test('does not take an object of the same name for the one that was owned', async () => {
  const store = start()
  family(store)
  store.remove(deployments, ref('d'), { propagationPolicy: 'Orphan' })
  await settle()
  store.create(deployments, object('Deployment', 'd'))
  store.remove(deployments, ref('d'))
  await settle()
  assert.equal(count(store), [0, 1, 2])
})

test('forgets Events after an hour, and the oldest when there are too many', () => {
  const store = new Store()
  const nowMs = Date.parse('2026-01-01T12:00:00Z')
  const event = (name: string, minutesAgo: number) => {
    const lastTimestamp = new Date(nowMs - minutesAgo * 60_000).toISOString()
    store.create(resources.events, object('Event', name, [], { lastTimestamp }))
  }
  for (const [index, minutesAgo] of [90, 61, 30, 20, 10].entries()) event(`e${index}`, minutesAgo)
  sweepEvents(store, nowMs, 2)
  assert.equal(
    store.list(resources.events).items.map((item) => item.metadata.name),
    ['e3', 'e4'],
  )
})

test.run()
