import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readVizPod } from '../../../src/runtime/control/viz/pod.ts'
import { podObject } from './fixtures.ts'

const test = suite('control/viz/pod')

test('a pod of a Deployment belongs to it and to its ReplicaSet', () => {
  assert.equal(readVizPod(podObject('web-1')).owners, { replicaset: 'web-abc12', deployment: 'web' })
})

test('a ReplicaSet of its own is no Deployment', () => {
  const object = podObject('web-1')
  delete object.metadata.labels?.['pod-template-hash']
  assert.equal(readVizPod(object).owners, { replicaset: 'web-abc12' })
})

test('the label of the injector names owners further up', () => {
  const object = podObject('report-1', { labels: { 'linkerd.io/proxy-cronjob': 'report' } })
  object.metadata.ownerReferences = [
    { apiVersion: 'batch/v1', kind: 'Job', name: 'report-28', uid: 'u', controller: true },
  ]
  assert.equal(readVizPod(object).owners, { job: 'report-28', cronjob: 'report' })
})

test('only a running pod with a proxy of the mesh is scraped', () => {
  assert.equal(readVizPod(podObject('a')).metricsAddress, { host: '10.244.0.7', port: 4191 })
  assert.is(readVizPod(podObject('a', { meshed: false })).metricsAddress, undefined)
  const ended = podObject('a')
  ended.status = { phase: 'Succeeded', podIP: '10.244.0.7' }
  assert.is(readVizPod(ended).metricsAddress, undefined)
  const pending = podObject('a')
  pending.status = { phase: 'Pending' }
  assert.is(readVizPod(pending).metricsAddress, undefined)
})

test('the status is what kubectl shows', () => {
  const waiting = podObject('a')
  waiting.status = {
    phase: 'Running',
    containerStatuses: [{ state: { waiting: { reason: 'CrashLoopBackOff' } } }],
  }
  assert.is(readVizPod(waiting).status, 'CrashLoopBackOff')
  waiting.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
  assert.is(readVizPod(waiting).status, 'Terminating')
})

test.run()
