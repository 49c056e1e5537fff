import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { customKinds } from '../../../src/runtime/local/apiserver/crd/custom-kind.ts'
import { compileJsonPath } from '../../../src/runtime/local/apiserver/crd/json-path.ts'
import type { StoredObject } from '../../../src/runtime/local/apiserver/objects.ts'
import { humanDuration } from '../../../src/runtime/local/apiserver/tables/age.ts'
import { podColumns } from '../../../src/runtime/local/apiserver/tables/pods.ts'

const test = suite('local/apiserver/tables')
const nowMs = Date.parse('2026-01-01T00:10:00Z')

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const ages: [ms: number, text: string][] = [
  [0, '0s'],
  [119 * second, '119s'],
  [2 * minute, '2m'],
  [2 * minute + 5 * second, '2m5s'],
  [10 * minute + 5 * second, '10m'],
  [3 * hour, '3h'],
  [3 * hour + 20 * minute, '3h20m'],
  [9 * hour + 20 * minute, '9h'],
  [47 * hour, '47h'],
  [3 * day + 4 * hour, '3d4h'],
  [9 * day + 4 * hour, '9d'],
  [730 * day, '2y'],
  [800 * day, '2y70d'],
  [9 * 365 * day, '9y'],
]

for (const [ms, text] of ages) {
  test(`shows ${ms} ms as ${text}`, () => {
    assert.is(humanDuration(ms), text)
  })
}

function pod(spec: object, status: object, metadata: object = {}): StoredObject {
  return {
    metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec,
    status,
  }
}

/** READY, STATUS, RESTARTS. */
function row(object: StoredObject): unknown[] {
  return podColumns.slice(1, 4).map((column) => column.cell(object, nowMs))
}

const one = { containers: [{ name: 'c' }] }
const running = { name: 'c', ready: true, restartCount: 0, state: { running: {} } }
const sidecarSpec = {
  containers: [{ name: 'c' }],
  initContainers: [{ name: 'init' }, { name: 'proxy', restartPolicy: 'Always' }],
}
const initDone = { name: 'init', ready: true, restartCount: 0, state: { terminated: { exitCode: 0 } } }

const pods: [title: string, object: StoredObject, expected: unknown[]][] = [
  ['pending', pod(one, { phase: 'Pending' }), ['0/1', 'Pending', '0']],
  ['running', pod(one, { phase: 'Running', containerStatuses: [running] }), ['1/1', 'Running', '0']],
  [
    'waiting',
    pod(one, {
      phase: 'Pending',
      containerStatuses: [
        { name: 'c', ready: false, restartCount: 0, state: { waiting: { reason: 'ContainerCreating' } } },
      ],
    }),
    ['0/1', 'ContainerCreating', '0'],
  ],
  [
    'restarted',
    pod(one, {
      phase: 'Running',
      containerStatuses: [
        { ...running, restartCount: 3, lastState: { terminated: { finishedAt: '2026-01-01T00:09:00Z' } } },
      ],
    }),
    ['1/1', 'Running', '3 (60s ago)'],
  ],
  [
    'failed',
    pod(one, {
      phase: 'Failed',
      containerStatuses: [
        { name: 'c', ready: false, restartCount: 0, state: { terminated: { exitCode: 2, reason: 'Error' } } },
      ],
    }),
    ['0/1', 'Error', '0'],
  ],
  [
    'in its init containers',
    pod(sidecarSpec, {
      phase: 'Pending',
      initContainerStatuses: [{ name: 'init', restartCount: 0, state: { running: {} } }],
    }),
    ['0/2', 'Init:0/2', '0'],
  ],
  [
    'failed in an init container',
    pod(sidecarSpec, {
      phase: 'Pending',
      initContainerStatuses: [
        { name: 'init', restartCount: 1, state: { terminated: { exitCode: 1, reason: 'Error' } } },
      ],
    }),
    ['0/2', 'Init:Error', '1'],
  ],
  [
    'running with a sidecar',
    pod(sidecarSpec, {
      phase: 'Running',
      initContainerStatuses: [
        initDone,
        { name: 'proxy', ready: true, started: true, restartCount: 2, state: { running: {} } },
      ],
      containerStatuses: [running],
    }),
    ['2/2', 'Running', '2'],
  ],
  [
    'being deleted',
    pod(
      one,
      { phase: 'Running', containerStatuses: [running] },
      { deletionTimestamp: '2026-01-01T00:09:00Z' },
    ),
    ['1/1', 'Terminating', '0'],
  ],
]

for (const [title, object, expected] of pods) {
  test(`shows a pod that is ${title}`, () => {
    assert.equal(row(object), expected)
  })
}

const subject = {
  metadata: { name: 'x', labels: { 'a.b/c': 'label' } },
  spec: { items: [{ n: 'one' }, { n: 'two' }] },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Synced', status: 'False' },
    ],
  },
}

const paths: [path: string, found: unknown[]][] = [
  ['.metadata.name', ['x']],
  ['.spec.items[0].n', ['one']],
  ['.spec.items[*].n', ['one', 'two']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type=='Synced')].status", ['False']],
  ['.metadata.labels.a\\.b/c', ['label']],
  [".metadata.labels['a.b/c']", ['label']],
  ['.spec.nothing.here', []],
]

for (const [path, found] of paths) {
  test(`finds ${path}`, () => {
    assert.equal(compileJsonPath(path)?.(subject), found)
  })
}

test('makes the columns of a custom resource', () => {
  const crd = {
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object' } },
          additionalPrinterColumns: [
            { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
            { name: 'Since', type: 'date', jsonPath: '.metadata.creationTimestamp' },
            {
              name: 'Ready',
              type: 'string',
              priority: 1,
              jsonPath: '.status.conditions[?(@.type=="Ready")].status',
            },
          ],
        },
      ],
    },
  }
  const [kind] = customKinds(crd)
  const thing = {
    ...subject,
    metadata: { name: 'x', creationTimestamp: '2026-01-01T00:05:00Z' },
    spec: { size: 3 },
  }
  assert.equal(
    kind?.columns.map(({ name, priority, cell }) => [name, priority, cell(thing, nowMs)]),
    [
      ['Name', 0, 'x'],
      ['Size', 0, 3],
      ['Since', 0, '5m'],
      ['Ready', 1, 'True'],
    ],
  )
})

test.run()
