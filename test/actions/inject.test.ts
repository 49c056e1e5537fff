import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { checkPorts, configAnnotations } from '../../src/runtime/actions/config-annotations.ts'
import { type InjectOptions, inject } from '../../src/runtime/actions/inject.ts'
import {
  objectsOf,
  parseManifest,
  plainObjects,
  writeManifests,
} from '../../src/runtime/actions/manifest-input.ts'
import { uninject } from '../../src/runtime/actions/uninject.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'

const test = suite('actions/inject')
const enabled: InjectOptions = { mode: 'enabled', config: {} }

function injected(text: string, options: InjectOptions = enabled) {
  const documents = parseManifest(text, 'test')
  const report = inject(documents, options)
  return { text: writeManifests(documents, 'yaml'), objects: plainObjects(documents), report }
}

const deployment = (pod: string, annotations = '') => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata:
      labels: {app: web}
${annotations}    spec:
${pod}`

const plainPod = '      containers: [{name: web, image: web}]\n'

test('comments, order and everything else stay as they are', () => {
  const text = `# the shop
kind: Deployment
apiVersion: apps/v1
metadata:
  name: web # its name
spec:
  template:
    spec:
      containers:
        - name: web
          image: "web:1"
          args: ["--x=1"] # flags
`
  const result = injected(text)
  const annotation = '    metadata:\n      annotations:\n        linkerd.io/inject: enabled\n'
  assert.fixture(result.text, `${text}${annotation}---\n`)
})

for (const [kind, path] of [
  ['Deployment', 'spec.template'],
  ['StatefulSet', 'spec.template'],
  ['DaemonSet', 'spec.template'],
  ['ReplicaSet', 'spec.template'],
  ['Job', 'spec.template'],
  ['CronJob', 'spec.jobTemplate.spec.template'],
  ['Pod', ''],
] as const) {
  test(`${kind} gets the annotation on its pod`, () => {
    const { objects, report } = injected(`{apiVersion: v1, kind: ${kind}, metadata: {name: x}}`)
    const pod = path
      .split('.')
      .filter(Boolean)
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], objects[0])
    assert.is(
      (pod as { metadata: { annotations: Record<string, string> } }).metadata.annotations[
        'linkerd.io/inject'
      ],
      'enabled',
    )
    assert.equal(report.results, [{ kind, name: 'x', outcome: 'injected' }])
  })
}

test('Namespaces are annotated, Services only with their opaque ports, others left alone', () => {
  const text = `{apiVersion: v1, kind: Namespace, metadata: {name: n}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
`
  const plain = injected(text)
  assert.equal(
    plain.report.results.map(({ outcome }) => outcome),
    ['annotated', 'skipped', 'skipped'],
  )
  const opaque = injected(text, {
    ...enabled,
    opaquePorts: '3306',
    config: configAnnotations({ 'opaque-ports': '3306' }),
  })
  assert.equal(
    opaque.report.results.map(({ outcome }) => outcome),
    ['annotated', 'annotated', 'skipped'],
  )
  assert.equal(opaque.objects[1]?.metadata.annotations, { 'config.linkerd.io/opaque-ports': '3306' })
})

test('Lists are expanded in place', () => {
  const { text, report } = injected(
    `apiVersion: v1\nkind: List\nitems:\n- {kind: Namespace, metadata: {name: a}}\n- {kind: List, items: [{kind: Pod, metadata: {name: p}}]}\n`,
  )
  assert.equal(
    report.results.map(({ name }) => name),
    ['a', 'p'],
  )
  assert.is((parse(text.replace(/---\n$/, '')) as { kind: string }).kind, 'List')
})

test('an explicit opt-out stays', () => {
  const { objects, report } = injected(
    deployment(plainPod, '      annotations: {linkerd.io/inject: disabled}\n'),
  )
  assert.is(report.results[0]?.outcome, 'skipped')
  assert.match(report.warnings[0] ?? '', /disabled/)
  assert.match(JSON.stringify(objects), /"linkerd.io\/inject":"disabled"/)
})

test('injecting twice is injecting once', () => {
  const once = injected(deployment(plainPod)).text
  assert.is(injected(once).text, once)
})

test('annotations: with nothing after it is no obstacle', () => {
  const { objects } = injected(deployment(plainPod, '      annotations:\n'))
  assert.match(JSON.stringify(objects), /"annotations":\{"linkerd.io\/inject":"enabled"\}/)
})

test('flags become annotations as text', () => {
  assert.equal(configAnnotations({ 'proxy-uid': 3000, 'proxy-log-level': 'debug', crds: true }), {
    'config.linkerd.io/proxy-uid': '3000',
    'config.linkerd.io/proxy-log-level': 'debug',
  })
  const { text } = injected(deployment(plainPod), {
    mode: 'ingress',
    config: { 'config.linkerd.io/proxy-uid': '3000' },
  })
  assert.match(text, /linkerd.io\/inject: ingress/)
  assert.match(text, /proxy-uid: "3000"/)
})

const impossible: [string, string, RegExp][] = [
  ['the network of the node', `      hostNetwork: true\n${plainPod}`, /hostNetwork/],
  ['another mesh', '      containers: [{name: istio-proxy, image: x}]\n', /sidecar/],
  [
    'another mesh by its image',
    '      containers: [{name: x, image: "docker.io/istio/proxyv2:1.20"}]\n',
    /sidecar/,
  ],
  ['no token', `      automountServiceAccountToken: false\n${plainPod}`, /token/],
]

for (const [what, pod, reason] of impossible) {
  test(`refuses a pod with ${what}`, () => {
    assert.throws(
      () => injected(deployment(pod)),
      (error: MeshError) =>
        error instanceof MeshError && error.code === 'MESH_INJECT_IMPOSSIBLE' && reason.test(error.message),
    )
  })
}

test('a projected token is enough for an identity', () => {
  const pod = `      automountServiceAccountToken: false
      volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: t}}]}}]
${plainPod}`
  assert.is(injected(deployment(pod)).report.results[0]?.outcome, 'injected')
})

test('UDP only warns', () => {
  const { report } = injected(
    deployment('      containers: [{name: dns, ports: [{containerPort: 53, protocol: UDP}]}]\n'),
  )
  assert.match(report.warnings.join(), /UDP ports \(53\)/)
  assert.is(report.results[0]?.outcome, 'injected')
})

test('uninject takes out what injection added, and keeps configuration and other things', () => {
  const text = deployment(
    `      initContainers: [{name: linkerd-init}, {name: own}, {name: linkerd-proxy}]
      containers: [{name: web}, {name: linkerd-proxy}]
      volumes: [{name: linkerd-identity-end-entity}, {name: linkerd-identity-token}, {name: data}]
`,
    `      annotations:
        linkerd.io/inject: enabled
        linkerd.io/created-by: x
        config.linkerd.io/proxy-uid: "1"
        other: kept
`,
  ).replace('labels: {app: web}', 'labels: {app: web, linkerd.io/control-plane-ns: linkerd}')
  const documents = parseManifest(text, 'test')
  assert.equal(uninject(documents), [{ kind: 'Deployment', name: 'web', outcome: 'uninjected' }])
  const [object] = plainObjects(documents)
  assert.equal((object as unknown as { spec: { template: unknown } }).spec.template, {
    metadata: {
      labels: { app: 'web' },
      annotations: { 'config.linkerd.io/proxy-uid': '1', other: 'kept' },
    },
    spec: {
      initContainers: [{ name: 'own' }],
      containers: [{ name: 'web' }],
      volumes: [{ name: 'data' }],
    },
  })
  assert.equal(uninject(documents)[0]?.outcome, 'skipped')
})

test('uninject undoes inject', () => {
  const text = deployment(plainPod)
  const documents = parseManifest(injected(text).text, 'test')
  uninject(documents)
  assert.equal(plainObjects(documents), plainObjects(parseManifest(text, 'test')))
})

const broken: [string, string][] = [
  ['a scalar', 'hello'],
  ['a list', '- a'],
  ['broken YAML', 'kind: ['],
  ['a key twice', 'kind: Pod\nkind: Pod'],
  ['an object without a kind', 'metadata: {name: x}'],
]

for (const [what, text] of broken) {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => objectsOf(parseManifest(text, 'test')),
      (error: MeshError) => error instanceof MeshError && error.code === 'MESH_MANIFEST_INVALID',
    )
  })
}

test('empty documents and comments alone are passed over', () => {
  assert.equal(parseManifest('---\n# nothing\n---\n', 'test'), [])
  assert.match(injected('---\n').report.warnings.join(), /no supported object/)
})

test('ports of flags are checked', () => {
  for (const fine of [undefined, '', '25', '25,587,8000-8010']) checkPorts('opaque-ports', fine)
  for (const wrong of ['0', '70000', '9-8', 'x', '25,,26', '-1']) {
    assert.throws(
      () => checkPorts('opaque-ports', wrong),
      (error: MeshError) => error.code === 'MESH_USAGE_INVALID_VALUE',
    )
  }
})

test.run()
