import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planReplicaSet } from '../../../src/runtime/local/controllers/replica-set/reconcile.ts'
import type { ReplicaSet } from '../../../src/runtime/local/objects.ts'
import { pod } from './objects.ts'

const test = suite('local/controllers/replica-set')
const nowMs = Date.UTC(2026, 0, 15, 0, 0, 5)

function replicaSet(replicas: number, minReadySeconds = 0): ReplicaSet {
  return {
    metadata: { name: 'web', generation: 2 },
    spec: { replicas, minReadySeconds, selector: {}, template: { spec: { containers: [] } } },
  }
}

const names = (pods: { metadata: { name: string } }[]) => pods.map(({ metadata }) => metadata.name)

test('replaces pods that have ended or are being deleted', () => {
  const deleted = { deletionTimestamp: '2026-01-15T00:00:00Z' }
  const pods = [pod('a'), pod('b', { phase: 'Failed' }), pod('c', {}, {}, deleted)]
  const plan = planReplicaSet(replicaSet(3), pods, nowMs)
  assert.is(plan.create, 2)
  assert.equal(plan.remove, [])
  assert.is(plan.status.replicas, 1)
})

test('removes the pods that are worth least first', () => {
  const pods = [
    pod('ready-old', {}, {}, { creationTimestamp: '2026-01-01T00:00:00Z' }),
    pod('ready-young', {}, {}, { creationTimestamp: '2026-01-02T00:00:00Z' }),
    pod('unready', { isReady: false }),
    pod('pending', { phase: 'Pending' }),
  ]
  assert.equal(names(planReplicaSet(replicaSet(1), pods, nowMs).remove), [
    'pending',
    'unready',
    'ready-young',
  ])
})

test('counts a pod as available only after its time, and looks again then', () => {
  const pods = [
    pod('early'),
    pod('late', { readySince: '2026-01-15T00:00:04Z' }),
    pod('no', { isReady: false }),
  ]
  const { status, againMs } = planReplicaSet(replicaSet(3, 3), pods, nowMs)
  assert.equal([status.readyReplicas, status.availableReplicas], [2, 1])
  assert.is(againMs, 2_000)
})

test('neither creates nor removes once it is being deleted', () => {
  const set = replicaSet(3)
  set.metadata.deletionTimestamp = '2026-01-15T00:00:00Z'
  const plan = planReplicaSet(set, [pod('a')], nowMs)
  assert.equal([plan.create, plan.remove.length], [0, 0])
})

test.run()
