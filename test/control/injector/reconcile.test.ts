import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { annotationTable } from '../../../src/runtime/control/injector/annotation-table.ts'
import type { Pod } from '../../../src/runtime/control/injector/pod.ts'
import {
  annotateService,
  type Facts,
  injectPod,
  passPod,
} from '../../../src/runtime/control/injector/reconcile.ts'
import { readValues } from '../../../src/runtime/control/injector/state.ts'
import type { MeshError } from '../../../src/runtime/shared/errors.ts'
import { renderProxy } from '../../../src/templates/render-proxy.ts'
import { defaultValues } from '../../../src/templates/values.ts'
import { patched, podOf, proxyOf, variable } from './objects.ts'

const test = suite('control/injector/reconcile')

const anchorsPem = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n'
const facts: Facts = {
  namespace: 'shop',
  namespaceAnnotations: {},
  owner: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
  values: defaultValues,
  anchorsPem,
  render: renderProxy,
}
const decision = { kind: 'inject', isIngress: false, annotationAt: 'workload' } as const
const config = (annotations: Record<string, string>) =>
  Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`config.linkerd.io/${name}`, value]))

function injected(pod: Pod, changed: Partial<Facts> = {}): Pod {
  const outcome = injectPod(pod, decision, { ...facts, ...changed })
  if (outcome.kind === 'refuse') throw new Error(outcome.message)
  return patched(pod, outcome.patch)
}

function refusalOf(annotations: Record<string, string>): string {
  const outcome = injectPod(podOf({ annotations }), decision, facts)
  return outcome.kind === 'refuse' ? outcome.message : 'taken'
}

test('a pod gets the redirect container first, then the proxy as native sidecar, and their volumes', () => {
  const pod = injected(
    podOf({ spec: { initContainers: [{ name: 'migrate' }], volumes: [{ name: 'data' }] } }),
  )
  assert.equal(
    pod.spec.initContainers?.map(({ name }) => name),
    ['linkerd-init', 'linkerd-proxy', 'migrate'],
  )
  assert.is(proxyOf(pod).restartPolicy, 'Always')
  assert.equal(
    pod.spec.volumes?.map(({ name }) => name),
    ['data', 'linkerd-identity-end-entity', 'linkerd-identity-token'],
  )
  assert.equal(
    pod.spec.containers.map(({ name }) => name),
    ['web'],
  )
})

test('a pod without init containers, volumes, labels and annotations gets them', () => {
  const bare: Pod = { metadata: { name: 'bare' }, spec: { containers: [{ name: 'web' }] } }
  const pod = injected(bare)
  assert.is(pod.spec.initContainers?.length, 2)
  assert.is(pod.spec.volumes?.length, 2)
  assert.is(pod.metadata.labels?.['linkerd.io/workload-ns'], 'shop')
})

test('labels and annotations tell control plane, workload, version and anchors', () => {
  const { labels = {}, annotations = {} } = injected(podOf({})).metadata
  assert.is(labels['linkerd.io/control-plane-ns'], 'linkerd')
  assert.is(labels['linkerd.io/workload-ns'], 'shop')
  assert.is(labels['linkerd.io/proxy-deployment'], 'web')
  assert.is(labels.app, 'web')
  assert.match(annotations['linkerd.io/created-by'] ?? '', /^mesh\/proxy-injector \d/)
  assert.is(annotations['linkerd.io/proxy-version'], defaultValues.proxy.image.version)
  assert.match(annotations['linkerd.io/trust-root-sha256'] ?? '', /^[0-9a-f]{64}$/)
  assert.is(annotations['config.linkerd.io/pod-inbound-ports'], '8080')
})

test('the name of an owner that is longer than a label may be is cut so that it stays a label', () => {
  const name = `${'a'.repeat(62)}-${'b'.repeat(30)}`
  const pod = injected(podOf({}), { owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name } })
  assert.is(pod.metadata.labels?.['linkerd.io/proxy-statefulset'], 'a'.repeat(62))
})

test('an owner of a kind that is not known leaves no label', () => {
  const pod = injected(podOf({}), { owner: { apiVersion: 'a/v1', kind: 'Rollout', name: 'web' } })
  assert.not(Object.keys(pod.metadata.labels ?? {}).some((name) => name.startsWith('linkerd.io/proxy-')))
})

test('a pod takes the settings of its namespace, and its own are stronger', () => {
  const namespaceAnnotations = config({
    'proxy-log-level': 'debug',
    'proxy-cpu-request': '100m',
    'enable-gateway': 'true',
    'proxy-cpu-ratio-limit': '0.5',
  })
  const pod = injected(podOf({ annotations: config({ 'proxy-log-level': 'error' }) }), {
    namespaceAnnotations,
  })
  assert.is(variable(pod, 'LINKERD2_PROXY_LOG'), 'error')
  assert.equal(proxyOf(pod).resources, { requests: { cpu: '100m' } })
  assert.is(pod.metadata.annotations?.['config.linkerd.io/proxy-cpu-request'], '100m')
  assert.is(pod.metadata.annotations?.['config.linkerd.io/enable-gateway'], undefined)
  assert.is(variable(pod, 'LINKERD2_PROXY_INBOUND_GATEWAY_SUFFIXES'), undefined)
  assert.is(variable(pod, 'LINKERD2_PROXY_CORES_MAX_RATIO'), undefined)
})

const effects: [Record<string, string>, (pod: Pod) => unknown, unknown][] = [
  [
    { 'proxy-image': 'example.com:5000/p', 'proxy-version': 'v9' },
    (pod) => proxyOf(pod).image,
    'example.com:5000/p:v9',
  ],
  [{ 'proxy-version': 'v9' }, (pod) => pod.metadata.annotations?.['linkerd.io/proxy-version'], 'v9'],
  [{ 'inbound-port': '5143' }, (pod) => variable(pod, 'LINKERD2_PROXY_INBOUND_LISTEN_ADDR'), '[::]:5143'],
  [{ 'access-log': 'json' }, (pod) => variable(pod, 'LINKERD2_PROXY_ACCESS_LOG'), 'json'],
  [
    { 'default-inbound-policy': 'deny' },
    (pod) => variable(pod, 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY'),
    'deny',
  ],
  [
    { 'proxy-outbound-connect-timeout': '1m30s' },
    (pod) => variable(pod, 'LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT'),
    '90000ms',
  ],
  [{ 'shutdown-grace-period': '5s' }, (pod) => variable(pod, 'LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD'), '5s'],
  [
    { 'proxy-admin-shutdown': 'enabled' },
    (pod) => variable(pod, 'LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED'),
    'true',
  ],
  [
    { 'proxy-disable-inbound-protocol-detect-timeout': 'true' },
    (pod) => variable(pod, 'LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT'),
    '365d',
  ],
  [
    { 'enable-external-profiles': 'true' },
    (pod) => variable(pod, 'LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES'),
    '.',
  ],
  [
    { 'enable-gateway': 'true' },
    (pod) => variable(pod, 'LINKERD2_PROXY_INBOUND_GATEWAY_SUFFIXES'),
    'svc.cluster.local.',
  ],
  [
    { 'proxy-require-identity-inbound-ports': '80,90' },
    (pod) => variable(pod, 'LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY'),
    '80,90',
  ],
  [{ 'proxy-await': 'disabled' }, (pod) => proxyOf(pod).startupProbe, undefined],
  [
    { 'proxy-metrics-hostname-labels': 'true' },
    (pod) => variable(pod, 'LINKERD2_PROXY_OUTBOUND_METRICS_HOSTNAME_LABELS'),
    'true',
  ],
  [
    { 'proxy-ephemeral-storage-limit': '1Gi' },
    (pod) => proxyOf(pod).resources,
    { limits: { 'ephemeral-storage': '1Gi' } },
  ],
  [
    { 'proxy-additional-env': '[{"name":"A","value":"1"},{"name":"LINKERD2_PROXY_LOG","value":"trace"}]' },
    (pod) => [variable(pod, 'A'), variable(pod, 'LINKERD2_PROXY_LOG')],
    ['1', 'trace'],
  ],
  [
    { 'opaque-ports': '3306,web' },
    (pod) => variable(pod, 'LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION'),
    '3306,8080',
  ],
  [
    { 'opaque-ports': '3306,web' },
    (pod) => pod.metadata.annotations?.['config.linkerd.io/opaque-ports'],
    '3306,8080',
  ],
]

for (const [annotations, read, expected] of effects) {
  test(`${JSON.stringify(annotations)} has its effect`, () => {
    const ports = [{ name: 'web', containerPort: 8080 }]
    assert.equal(read(injected(podOf({ annotations: config(annotations), container: { ports } }))), expected)
  })
}

const wrong: [string, string, string][] = [
  ['proxy-cpu-request', '100x', 'a quantity such as'],
  ['proxy-cpu-ratio-limit', '1', 'between 0 and 1'],
  ['inbound-port', '70000', 'from 1 to 65535'],
  ['inbound-port', '0x10', 'from 1 to 65535'],
  ['outbound-port', '4143', 'not all different'],
  ['skip-inbound-ports', '80-', 'no port'],
  ['skip-subnets', '10.0.0.0/33', 'no network'],
  ['opaque-ports', 'mysql', 'no port'],
  ['proxy-uid', '0', 'from 1'],
  ['proxy-log-format', 'xml', 'plain, json'],
  ['proxy-log-level', 'warn;rm', 'directives'],
  ['access-log', 'yes', 'apache, json'],
  ['default-inbound-policy', 'allow', 'all-unauthenticated'],
  ['proxy-inbound-connect-timeout', '100', 'a duration'],
  ['proxy-inbound-connect-timeout', '-1s', 'a duration'],
  ['enable-gateway', 'yes', 'true or false'],
  ['proxy-await', 'true', 'enabled, disabled'],
  ['image-pull-policy', 'never', 'Always'],
  ['proxy-image', 'a b', 'no name of an image'],
  ['proxy-version', '../x', 'no tag'],
  ['proxy-additional-env', '{}', 'not a JSON list'],
  ['proxy-additional-env', '[{"value":"1"}]', 'no name of a variable'],
  ['proxy-additional-env', '[null]', 'no name of a variable'],
  ['proxy-additional-env', '[{"name":"A"}]', 'neither a value'],
]

for (const [name, value, problem] of wrong) {
  test(`${name}: ${value} refuses the pod and says why`, () => {
    const message = refusalOf(config({ [name]: value }))
    assert.ok(message.includes(problem), message)
    assert.match(message, 'MESH_INJECTOR_ANNOTATION')
  })
}

test('all problems are told at once, and a request over its limit is one', () => {
  const message = refusalOf(
    config({ 'inbound-port': 'x', 'proxy-cpu-request': '2', 'proxy-cpu-limit': '500m' }),
  )
  assert.match(message, 'inbound-port: "x"')
  assert.match(message, 'cpu request 2 is over its limit 500m')
})

test('annotations without effect give a warning, and unknown ones nothing', () => {
  const annotations = {
    ...config({
      'close-wait-timeout': '10s',
      'proxy-enable-native-sidecar': 'false',
      'from-the-future': 'x',
    }),
    'config.alpha.linkerd.io/proxy-wait-before-exit-seconds': '5',
  }
  const outcome = injectPod(podOf({ annotations }), decision, facts)
  assert.is(outcome.kind === 'allow' ? outcome.warnings.length : 0, 3)
})

test('an ingress is told so, the debug container is added when asked for', () => {
  const pod = podOf({ annotations: config({ 'enable-debug-sidecar': 'true', 'debug-image-version': 'v7' }) })
  const outcome = injectPod(pod, { ...decision, isIngress: true }, facts)
  assert.ok(outcome.kind === 'allow')
  const result = patched(pod, outcome.kind === 'allow' ? outcome.patch : [])
  assert.is(variable(result, 'LINKERD2_PROXY_INGRESS_MODE'), 'true')
  assert.is(result.spec.containers.at(-1)?.name, 'linkerd-debug')
  assert.is(result.spec.containers.at(-1)?.image, 'localhost/mesh/debug:v7')
})

test('of the default opaque ports a pod is told those that it has', () => {
  const pod = injected(podOf({ container: { ports: [{ containerPort: 8080 }, { containerPort: 3306 }] } }))
  assert.is(pod.metadata.annotations?.['config.linkerd.io/opaque-ports'], '3306')
})

test('Services take opaque ports from the namespace, else the defaults that they have', () => {
  const service = {
    metadata: { name: 'db' },
    spec: { ports: [{ port: 3306 }, { port: 80 }, { port: 25, protocol: 'UDP' }] },
  }
  const opaquePortsOf = (annotations: Record<string, string> | undefined, namespaceAnnotations = {}) => {
    const object = annotations === undefined ? service : { ...service, metadata: { name: 'db', annotations } }
    const outcome = annotateService(object, { namespaceAnnotations, values: defaultValues })
    const result = patched(object, outcome.kind === 'allow' ? outcome.patch : []) as typeof service & {
      metadata: { annotations?: Record<string, string> }
    }
    return result.metadata.annotations?.['config.linkerd.io/opaque-ports']
  }
  assert.is(opaquePortsOf(undefined), '3306')
  assert.is(opaquePortsOf({}), '3306')
  assert.is(opaquePortsOf(undefined, config({ 'opaque-ports': '9,10' })), '9,10')
  assert.is(opaquePortsOf(config({ 'opaque-ports': '' }), config({ 'opaque-ports': '9' })), '')
  assert.is(opaquePortsOf(undefined, config({ 'opaque-ports': 'x' })), '3306')
})

test('pods without a proxy take only what the namespace says of opaque ports', () => {
  const patchOf = (namespaceAnnotations: Record<string, string>) => {
    const outcome = passPod(podOf({}), { namespaceAnnotations })
    return outcome.kind === 'allow' ? outcome.patch.length : -1
  }
  assert.is(patchOf({}), 0)
  assert.is(patchOf(config({ 'opaque-ports': '9' })), 1)
  assert.is(patchOf(config({ 'opaque-ports': 'x' })), 0)
})

test('before there are values and anchors the pod is refused with a code, not let through', () => {
  const codeOf = (changed: Partial<Facts>) => {
    try {
      injectPod(podOf({}), decision, { ...facts, ...changed })
    } catch (error) {
      return (error as MeshError).code
    }
    return 'taken'
  }
  assert.is(codeOf({ values: undefined }), 'MESH_INJECTOR_NOT_CONFIGURED')
  assert.is(codeOf({ anchorsPem: undefined }), 'MESH_INJECTOR_NO_TRUST_ANCHORS')
})

test('values of another version keep what they say and get the rest from the defaults', () => {
  const values = readValues('namespace: mesh\nproxy:\n  logLevel: debug\n', () => {})
  assert.is(values?.namespace, 'mesh')
  assert.is(values?.proxy.logLevel, 'debug')
  assert.is(values?.proxy.ports.inbound, 4143)
  const errors: unknown[] = []
  assert.is(
    readValues('just text', (error) => errors.push(error)),
    undefined,
  )
  assert.is(errors.length, 1)
})

test('whatever annotations say, the pod is refused or stays a pod with one proxy and no variable twice', () => {
  const name = fc.constantFrom(...Object.keys(annotationTable))
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'true',
      'enabled',
      '10s',
      '80',
      '1-3',
      '100m',
      '[]',
      '[{"name":"A","value":"$(B)"}]',
      'json',
      '::1/64',
    ),
  )
  fc.assert(
    fc.property(
      fc.dictionary(name, value, { maxKeys: 6 }),
      fc.dictionary(name, value, { maxKeys: 4 }),
      (own, namespace) => {
        const pod = podOf({ annotations: own })
        const outcome = injectPod(pod, decision, { ...facts, namespaceAnnotations: namespace })
        if (outcome.kind === 'refuse') return assert.ok(outcome.message.length < 4000)
        const result = patched(pod, outcome.patch)
        const names = proxyOf(result).env.map((entry) => entry.name)
        assert.is(new Set(names).size, names.length)
        assert.is(result.spec.initContainers?.length, 2)
        // Injected again, it is as it was but for the second pair: nothing is lost on the way.
        assert.equal(result.spec.containers.slice(0, 1), pod.spec.containers)
      },
    ),
    { numRuns: 150 },
  )
})

test.run()
