import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planDaemonSet } from '../../../src/runtime/local/controllers/daemon-set/reconcile.ts'
import {
  planStatefulSet,
  revisionLabel,
} from '../../../src/runtime/local/controllers/stateful-set/reconcile.ts'
import { templateHash } from '../../../src/runtime/local/controllers/template-hash.ts'
import type { DaemonSet, Pod, StatefulSet } from '../../../src/runtime/local/objects.ts'
import { pod } from './objects.ts'

const test = suite('local/controllers/stateful-set')
const nowMs = Date.UTC(2026, 0, 15, 1)
const template = { spec: { containers: [{ name: 'c', image: 'new' }] } }
const current = `db-${templateHash(template)}`
const deleted = { deletionTimestamp: '2026-01-15T00:00:00Z' }

function statefulSet(spec: Partial<StatefulSet['spec']> = {}): StatefulSet {
  return { metadata: { name: 'db' }, spec: { replicas: 3, selector: {}, template, ...spec } }
}

function member(
  ordinal: number,
  more: Parameters<typeof pod>[1] = {},
  revision = current,
  metadata: object = {},
): Pod {
  return pod(`db-${ordinal}`, more, {}, { labels: { [revisionLabel]: revision }, ...metadata })
}

function steps(set: StatefulSet, pods: Pod[]): [create: number[], remove: string[]] {
  const { create, remove } = planStatefulSet(set, pods, nowMs)
  return [create, remove.map(({ metadata }) => metadata.name)]
}

test('creates one pod after the other, each when the one before is ready', () => {
  assert.equal(steps(statefulSet(), []), [[0], []])
  assert.equal(steps(statefulSet(), [member(0, { isReady: false })]), [[], []])
  assert.equal(steps(statefulSet(), [member(0)]), [[1], []])
  assert.equal(steps(statefulSet(), [member(0), member(1), member(2)]), [[], []])
})

test('removes the last pods first, one at a time', () => {
  const pods = [member(0), member(1), member(2)]
  assert.equal(steps(statefulSet({ replicas: 1 }), pods), [[], ['db-2']])
  assert.equal(steps(statefulSet({ replicas: 1 }), [member(0), member(1), member(2, {}, current, deleted)]), [
    [],
    [],
  ])
})

test('replaces pods of an old template from the last to the first, down to the partition', () => {
  const pods = [member(0, {}, 'old'), member(1, {}, 'old'), member(2, {}, 'old')]
  assert.equal(steps(statefulSet(), pods), [[], ['db-2']])
  assert.equal(steps(statefulSet(), [member(0, {}, 'old'), member(1, {}, 'old'), member(2)]), [[], ['db-1']])
  const partition = { updateStrategy: { rollingUpdate: { partition: 1 } } }
  assert.equal(steps(statefulSet(partition), [member(0, {}, 'old'), member(1), member(2)]), [[], []])
  assert.equal(steps(statefulSet({ updateStrategy: { type: 'OnDelete' } }), pods), [[], []])
  const stuck = [member(0), member(1), member(2, { isReady: false }, 'old')]
  assert.equal(steps(statefulSet(), stuck), [[], ['db-2']])
})

test('does all at once when it is told to', () => {
  const parallel = { podManagementPolicy: 'Parallel' }
  assert.equal(steps(statefulSet(parallel), []), [[0, 1, 2], []])
  assert.equal(steps(statefulSet({ ...parallel, replicas: 0 }), [member(0), member(1)]), [
    [],
    ['db-1', 'db-0'],
  ])
})

test('replaces a pod that has ended', () => {
  assert.equal(steps(statefulSet(), [member(0, { phase: 'Failed' })]), [[], ['db-0']])
})

test('tells the revisions', () => {
  const { status } = planStatefulSet(statefulSet(), [member(0, {}, 'db-old'), member(1), member(2)], nowMs)
  assert.equal([status.replicas, status.updatedReplicas, status.updateRevision], [3, 2, current])
})

function daemonSet(spec: Partial<DaemonSet['spec']> = {}): DaemonSet {
  return { metadata: { name: 'agent' }, spec: { selector: {}, template, ...spec } }
}

test('keeps one pod of a DaemonSet, and replaces it when the template changes', () => {
  const own = (revision: string, metadata: object = {}) =>
    pod('agent-x', {}, {}, { labels: { [revisionLabel]: revision }, ...metadata })
  const hash = templateHash(template)
  assert.ok(planDaemonSet(daemonSet(), [], true, nowMs).create)
  const settled = planDaemonSet(daemonSet(), [own(hash)], true, nowMs)
  assert.equal([settled.create, settled.remove.length, settled.status.numberAvailable], [false, 0, 1])
  const outdated = planDaemonSet(daemonSet(), [own('old')], true, nowMs)
  assert.equal([outdated.create, outdated.remove.length], [false, 1])
  assert.not.ok(planDaemonSet(daemonSet(), [own('old', deleted)], true, nowMs).create)
  assert.is(
    planDaemonSet(daemonSet({ updateStrategy: { type: 'OnDelete' } }), [own('old')], true, nowMs).remove
      .length,
    0,
  )
  const unwanted = planDaemonSet(daemonSet(), [own(hash)], false, nowMs)
  assert.equal(
    [unwanted.create, unwanted.remove.length, unwanted.status.desiredNumberScheduled],
    [false, 1, 0],
  )
})

test.run()
