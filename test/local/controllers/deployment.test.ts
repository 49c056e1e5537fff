import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  planDeployment,
  revisionAnnotation,
  rollingLimits,
  templateHashLabel,
} from '../../../src/runtime/local/controllers/deployment/reconcile.ts'
import { templateHash } from '../../../src/runtime/local/controllers/template-hash.ts'
import type { Deployment, ReplicaSet } from '../../../src/runtime/local/objects.ts'

const test = suite('local/controllers/deployment')
const nowMs = Date.UTC(2026, 0, 15)

function deployment(spec: Partial<Deployment['spec']> = {}, image = 'new'): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u', generation: 3 },
    spec: {
      replicas: 4,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
      ...spec,
    },
  }
}

interface Size {
  replicas: number
  available: number
  /** Pods that exist; as many as wanted when absent. */
  pods?: number
}

function replicaSet(image: string, { replicas, available, pods = replicas }: Size, revision = 1): ReplicaSet {
  const { template, selector } = deployment({}, image).spec
  return {
    metadata: {
      name: `web-${image}`,
      labels: { [templateHashLabel]: templateHash(template) },
      annotations: { [revisionAnnotation]: String(revision) },
    },
    spec: { replicas, selector, template },
    status: { replicas: pods, readyReplicas: available, availableReplicas: available },
  }
}

const condition = (plan: ReturnType<typeof planDeployment>, type: string) =>
  plan.status.conditions?.find((candidate) => candidate.type === type)

test('creates the first ReplicaSet in full size', () => {
  const plan = planDeployment(deployment(), [], 0, nowMs)
  assert.is(plan.createWith, 4)
  assert.is(plan.revision, 1)
  assert.is(condition(plan, 'Progressing')?.reason, 'NewReplicaSetCreated')
  assert.is(condition(plan, 'Available')?.status, 'False')
})

test('rounds surge up and unavailability down, and never leaves both at zero', () => {
  assert.equal(rollingLimits(deployment(), 5), { maxSurge: 2, maxUnavailable: 1 })
  const none = deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '10%' } } })
  assert.equal(rollingLimits(none, 5), { maxSurge: 0, maxUnavailable: 1 })
})

test('hashes a template by what it says, not by the order of its fields', () => {
  const first = templateHash({ metadata: { labels: { a: '1', b: '2' } }, spec: { containers: [] } })
  const second = templateHash({ spec: { containers: [] }, metadata: { labels: { b: '2', a: '1' } } })
  assert.is(first, second)
  assert.match(first, /^[a-z0-9]{10}$/)
})

test('removes old pods that are not available first, without waiting for new ones', () => {
  const old = replicaSet('old', { replicas: 4, available: 2 })
  const current = replicaSet('new', { replicas: 1, available: 0 })
  const plan = planDeployment(deployment(), [old, current], 4, nowMs)
  const sizeOf = (name: string) => plan.scale.find(({ set }) => set.metadata.name === name)?.replicas
  assert.is(sizeOf('web-old'), 3)
})

test('recreates only after the last old pod is gone', () => {
  const spec = { strategy: { type: 'Recreate' } }
  const old = replicaSet('old', { replicas: 4, available: 4 })
  const emptying = planDeployment(deployment(spec), [old], 4, nowMs)
  assert.equal([emptying.createWith, emptying.scale[0]?.replicas], [undefined, 0])
  const empty = replicaSet('old', { replicas: 0, available: 0 })
  assert.is(planDeployment(deployment(spec), [empty], 1, nowMs).createWith, undefined)
  assert.is(planDeployment(deployment(spec), [empty], 0, nowMs).createWith, 4)
})

test('leaves sizes alone while paused', () => {
  const sets = [
    replicaSet('old', { replicas: 3, available: 3 }),
    replicaSet('new', { replicas: 1, available: 1 }),
  ]
  const plan = planDeployment(deployment({ paused: true }), sets, 3, nowMs)
  assert.equal([plan.createWith, plan.scale.length], [undefined, 0])
})

test('gives a template that comes back the next revision', () => {
  const sets = [
    replicaSet('new', { replicas: 0, available: 0 }, 1),
    replicaSet('old', { replicas: 4, available: 4 }, 2),
  ]
  assert.is(planDeployment(deployment(), sets, 4, nowMs).revision, 3)
})

test('tells when a rollout is complete, and when it is late', () => {
  const complete = planDeployment(deployment(), [replicaSet('new', { replicas: 4, available: 4 })], 0, nowMs)
  assert.is(condition(complete, 'Progressing')?.reason, 'NewReplicaSetAvailable')
  assert.is(complete.againMs, undefined)
  const stuck = [replicaSet('new', { replicas: 4, available: 1 })]
  const started = planDeployment(deployment({ progressDeadlineSeconds: 10 }), stuck, 0, nowMs)
  assert.is(condition(started, 'Progressing')?.reason, 'ReplicaSetUpdated')
  assert.is(started.againMs, 11_000)
  const later = { ...deployment({ progressDeadlineSeconds: 10 }), status: started.status }
  const late = planDeployment(later, stuck, 0, nowMs + 11_000)
  assert.is(condition(late, 'Progressing')?.reason, 'ProgressDeadlineExceeded')
  assert.is(condition(late, 'Progressing')?.status, 'False')
})

test('forgets the oldest empty ReplicaSets beyond the limit', () => {
  const sets = [1, 2, 3].map((revision) =>
    replicaSet(`old${revision}`, { replicas: 0, available: 0 }, revision),
  )
  const plan = planDeployment(deployment({ revisionHistoryLimit: 1 }), sets, 0, nowMs)
  assert.equal(
    plan.forget.map(({ metadata }) => metadata.name),
    ['web-old1', 'web-old2'],
  )
})

interface Rollout {
  old: Size
  current: Size | undefined
}

/** Does to the two ReplicaSets what a plan says. */
function follow(plan: ReturnType<typeof planDeployment>, { old, current }: Rollout): Rollout {
  const next: Rollout = { old, current }
  if (plan.createWith !== undefined) next.current = { replicas: plan.createWith, available: 0 }
  for (const { set, replicas } of plan.scale) {
    if (set.metadata.name === 'web-old') next.old = { replicas, available: Math.min(old.available, replicas) }
    else next.current = { replicas, available: next.current?.available ?? 0 }
  }
  return next
}

test('never has too many pods nor too few available ones, and arrives', () => {
  const settings = fc.record({
    replicas: fc.integer({ min: 1, max: 12 }),
    maxSurge: fc.integer({ min: 0, max: 5 }),
    maxUnavailable: fc.integer({ min: 0, max: 5 }),
    ready: fc.infiniteStream(fc.boolean()),
  })
  const arrives = (wanted: ReturnType<typeof deployment>, replicas: number, isReady: () => boolean) => {
    const limits = rollingLimits(wanted, replicas)
    let state: Rollout = { old: { replicas, available: replicas }, current: undefined }
    for (let step = 0; step < 400; step++) {
      const made = state.current ? [replicaSet('new', state.current, 2)] : []
      const sets = [replicaSet('old', state.old), ...made]
      state = follow(planDeployment(wanted, sets, state.old.replicas, nowMs), state)
      const { old, current = { replicas: 0, available: 0 } } = state
      if (old.replicas + current.replicas > replicas + limits.maxSurge) return false
      if (old.available + current.available < replicas - limits.maxUnavailable) return false
      if (current.available < current.replicas && isReady()) current.available += 1
      if (old.replicas === 0 && current.available === replicas) return true
    }
    return false
  }
  fc.assert(
    fc.property(settings, ({ replicas, maxSurge, maxUnavailable, ready }) => {
      const wanted = deployment({ replicas, strategy: { rollingUpdate: { maxSurge, maxUnavailable } } })
      return arrives(wanted, replicas, () => ready.next().value === true)
    }),
  )
})

test.run()
