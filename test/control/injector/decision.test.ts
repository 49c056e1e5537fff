import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decideInjection } from '../../../src/runtime/control/injector/decision.ts'
import { findOwner } from '../../../src/runtime/control/injector/owner.ts'
import { inboundPorts, type Pod } from '../../../src/runtime/control/injector/pod.ts'
import { containsPort, parsePortList } from '../../../src/runtime/control/injector/port-list.ts'
import { quantityOf } from '../../../src/runtime/control/injector/quantity.ts'
import type { KubeObject } from '../../../src/runtime/kube/types.ts'
import { podOf } from './objects.ts'

const test = suite('control/injector/decision')

const inject = (value: string) => ({ 'linkerd.io/inject': value })

const table: [string, Pod, Record<string, string>, string][] = [
  ['nothing said', podOf({}), {}, 'injection_enable_annotation_absent at none'],
  ['namespace enabled', podOf({}), inject('enabled'), 'inject at namespace'],
  ['pod enabled', podOf({ annotations: inject('enabled') }), {}, 'inject at workload'],
  ['ingress', podOf({ annotations: inject('ingress') }), {}, 'ingress at workload'],
  ['namespace ingress', podOf({}), inject('ingress'), 'ingress at namespace'],
  [
    'pod disabled in an enabled namespace',
    podOf({ annotations: inject('disabled') }),
    inject('enabled'),
    'injection_disable_annotation_present at workload',
  ],
  [
    'pod enabled in a disabled namespace',
    podOf({ annotations: inject('enabled') }),
    inject('disabled'),
    'inject at workload',
  ],
  ['namespace disabled', podOf({}), inject('disabled'), 'injection_disable_annotation_present at namespace'],
  [
    'wrong at pod',
    podOf({ annotations: inject('true') }),
    inject('enabled'),
    'invalid_inject_annotation_at_workload at workload',
  ],
  ['wrong at namespace', podOf({}), inject('Enabled'), 'invalid_inject_annotation_at_ns at namespace'],
  [
    'host network',
    podOf({ spec: { hostNetwork: true } }),
    inject('enabled'),
    'host_network_enabled at namespace',
  ],
  [
    'Windows',
    podOf({ spec: { os: { name: 'windows' } } }),
    inject('enabled'),
    'unsupported_resource at namespace',
  ],
  [
    'a proxy already',
    podOf({ spec: { initContainers: [{ name: 'linkerd-proxy' }] } }),
    inject('enabled'),
    'sidecar_already_exists at namespace',
  ],
  [
    'a proxy of another mesh',
    podOf({ spec: { containers: [{ name: 'web' }, { name: 'istio-proxy' }] } }),
    inject('enabled'),
    'sidecar_already_exists at namespace',
  ],
]

for (const [what, pod, namespaceAnnotations, expected] of table) {
  test(`${what}: ${expected}`, () => {
    const decision = decideInjection(pod, namespaceAnnotations)
    const word = decision.kind === 'skip' ? decision.reason : decision.isIngress ? 'ingress' : 'inject'
    assert.is(`${word} at ${decision.annotationAt}`, expected)
  })
}

const owned = (kind: string, name: string): KubeObject => ({
  metadata: {
    name: 'between',
    ownerReferences: [{ apiVersion: 'x/v1', kind, name, uid: 'top', controller: true }],
  },
})

test('the owner of a pod is the Deployment above its ReplicaSet', async () => {
  const asked: string[] = []
  const owner = await findOwner(podOf({}), async (resource, name) => {
    asked.push(`${resource.plural}/${name}`)
    return owned('Deployment', 'web')
  })
  assert.equal(owner, { apiVersion: 'x/v1', kind: 'Deployment', name: 'web', uid: 'top' })
  assert.equal(asked, ['replicasets/web-5d4f8c7b9d'])
})

test('a ReplicaSet that cannot be read still tells the Deployment’s name', async () => {
  const owner = await findOwner(podOf({}), async () => undefined)
  assert.equal(owner, { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' })
})

test('a ReplicaSet without a Deployment is the owner itself, and a pod alone has none', async () => {
  const alone = await findOwner(podOf({}), async () => ({ metadata: { name: 'web-5d4f8c7b9d' } }))
  assert.is(alone?.kind, 'ReplicaSet')
  assert.is(await findOwner(podOf({ isAlone: true }), async () => undefined), undefined)
})

test('a Job leads to its CronJob, other kinds stand for themselves', async () => {
  const pod = (kind: string) => {
    const made = podOf({})
    made.metadata.ownerReferences = [{ apiVersion: 'v1', kind, name: 'one', uid: 'u' }]
    return made
  }
  assert.is((await findOwner(pod('Job'), async () => owned('CronJob', 'nightly')))?.name, 'nightly')
  const never = async () => {
    throw new Error('read')
  }
  assert.is((await findOwner(pod('StatefulSet'), never))?.name, 'one')
  assert.is((await findOwner(pod('Rollout'), never))?.kind, 'Rollout')
})

test('inbound ports are those of containers and sidecars over TCP, and of probes by number', () => {
  const pod = podOf({
    container: {
      ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }, { containerPort: 80 }],
      livenessProbe: { httpGet: { port: 9000 } },
      readinessProbe: { httpGet: { port: 'http' } },
    },
    spec: {
      initContainers: [
        { name: 'once', ports: [{ containerPort: 1 }] },
        { name: 'sidecar', restartPolicy: 'Always', ports: [{ containerPort: 7 }] },
      ],
    },
  })
  assert.equal(inboundPorts(pod), [7, 80, 9000])
})

test('lists of ports', () => {
  const problemOf = (text: string) => {
    const parsed = parsePortList(text)
    return parsed.kind === 'problem' ? parsed.problem : 'taken'
  }
  const parsed = parsePortList(' 25, 8000-8002 ,,', new Map())
  assert.ok(parsed.kind === 'ports' && containsPort(parsed.ranges, 8001) && !containsPort(parsed.ranges, 26))
  assert.is(problemOf(''), 'taken')
  assert.match(problemOf('0'), 'between 1 and 65535')
  assert.match(problemOf('65536'), 'between 1 and 65535')
  assert.match(problemOf('9-1'), 'ends before it starts')
  for (const text of ['x', '1-', '-1', '1.5', '1-2-3', '٣', '1;2']) assert.match(problemOf(text), 'no port')
})

test('quantities', () => {
  const values: [string, number | undefined][] = [
    ['100m', 0.1],
    ['1', 1],
    ['.5', 0.5],
    ['64Mi', 64 * 1024 * 1024],
    ['1e3', 1000],
    ['2k', 2000],
    ['', undefined],
    ['-1', undefined],
    ['1 Gi', undefined],
    ['10MB', undefined],
    ['1m1', undefined],
    ['NaN', undefined],
    ['1e999', undefined],
  ]
  for (const [text, value] of values) assert.is(quantityOf(text), value, text)
})

test.run()
