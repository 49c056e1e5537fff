import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type ContainerKind,
  type ContainerView,
  podStatus,
} from '../../../src/runtime/local/node/pod-status.ts'
import type { ContainerStateStatus, Pod } from '../../../src/runtime/local/objects.ts'

const test = suite('local/node/pod-status')
const nowMs = Date.UTC(2026, 0, 15)
const at = '2026-01-15T00:00:00Z'

type Kind = 'waiting' | 'running' | 'ready' | 'done' | 'failed' | 'crashing'

function view(name: string, kind: ContainerKind, what: Kind): ContainerView {
  const ended = (exitCode: number): ContainerStateStatus => ({
    terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', startedAt: at, finishedAt: at },
  })
  const states: Record<Kind, ContainerStateStatus> = {
    waiting: { waiting: { reason: 'PodInitializing' } },
    running: { running: { startedAt: at } },
    ready: { running: { startedAt: at } },
    done: ended(0),
    failed: ended(3),
    crashing: { waiting: { reason: 'CrashLoopBackOff' } },
  }
  return {
    container: { name, image: 'localhost/host' },
    kind,
    state: states[what],
    lastState: {},
    isReady: what === 'ready',
    isStarted: what === 'ready' || what === 'running',
    isFinished: what === 'done' || what === 'failed',
    restartCount: what === 'crashing' ? 2 : 0,
    containerId: undefined,
  }
}

function status(containers: ContainerView[], conditions: NonNullable<Pod['status']>['conditions'] = []) {
  const own = containers.map(({ container }) => container)
  const pod: Pod = {
    metadata: { name: 'p' },
    spec: { containers: own, initContainers: own },
    status: { conditions },
  }
  return podStatus(
    { pod, containers, nodeIp: '10.244.0.1', podIps: ['10.244.0.2'], startedAt: at, failure: undefined },
    nowMs,
  )
}

const conditionOf = (of: ReturnType<typeof status>, type: string) => {
  const found = of.conditions?.find((condition) => condition.type === type)
  return `${found?.status} ${found?.reason ?? ''}`.trim()
}

const cases: [string, ContainerView[], string, string, string][] = [
  [
    'waits for an init container',
    [view('i', 'init', 'running'), view('a', 'app', 'waiting')],
    'Pending',
    'False ContainersNotInitialized',
    'False ContainersNotReady',
  ],
  [
    'waits for a sidecar',
    [view('s', 'sidecar', 'waiting'), view('a', 'app', 'waiting')],
    'Pending',
    'False ContainersNotInitialized',
    'False ContainersNotReady',
  ],
  [
    'runs but is not ready',
    [view('i', 'init', 'done'), view('a', 'app', 'running')],
    'Running',
    'True',
    'False ContainersNotReady',
  ],
  [
    'is ready',
    [view('i', 'init', 'done'), view('s', 'sidecar', 'ready'), view('a', 'app', 'ready')],
    'Running',
    'True',
    'True',
  ],
  [
    'is not ready without its sidecar',
    [view('s', 'sidecar', 'running'), view('a', 'app', 'ready')],
    'Running',
    'True',
    'False ContainersNotReady',
  ],
  [
    'goes on while a container crashes',
    [view('a', 'app', 'crashing'), view('b', 'app', 'ready')],
    'Running',
    'True',
    'False ContainersNotReady',
  ],
  [
    'has succeeded',
    [view('a', 'app', 'done'), view('b', 'app', 'done')],
    'Succeeded',
    'True',
    'False PodCompleted',
  ],
  ['has failed', [view('a', 'app', 'done'), view('b', 'app', 'failed')], 'Failed', 'True', 'False PodFailed'],
  [
    'has failed at its start',
    [view('i', 'init', 'failed'), view('a', 'app', 'waiting')],
    'Failed',
    'True',
    'False PodFailed',
  ],
]

for (const [name, containers, phase, initialized, ready] of cases) {
  test(`tells when a pod ${name}`, () => {
    const found = status(containers)
    assert.is(found.phase, phase)
    assert.is(conditionOf(found, 'Initialized'), initialized)
    assert.is(conditionOf(found, 'Ready'), ready)
    assert.is(conditionOf(found, 'ContainersReady'), ready)
  })
}

test('keeps the time of a condition that stays as it is', () => {
  const since = '2025-12-31T00:00:00Z'
  const before = ['Ready', 'PodScheduled'].map((type) => ({
    type,
    status: 'True' as const,
    lastTransitionTime: since,
  }))
  const found = status([view('a', 'app', 'running')], before)
  const time = (type: string) =>
    found.conditions?.find((condition) => condition.type === type)?.lastTransitionTime
  assert.is(time('PodScheduled'), since)
  assert.is(time('Ready'), at)
})

test('lists sidecars with the init containers', () => {
  const found = status([view('s', 'sidecar', 'ready'), view('a', 'app', 'ready')])
  assert.equal(
    found.initContainerStatuses?.map(({ name, ready, started }) => [name, ready, started]),
    [['s', true, true]],
  )
  assert.equal(
    found.containerStatuses?.map(({ name }) => name),
    ['a'],
  )
})

test.run()
