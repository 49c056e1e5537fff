import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inject } from '../../src/runtime/actions/inject.ts'
import { assumedMesh, injectManually, readInstalledMesh } from '../../src/runtime/actions/inject-manual.ts'
import { parseManifest, plainObjects } from '../../src/runtime/actions/manifest-input.ts'
import { uninject } from '../../src/runtime/actions/uninject.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import { createTrustAnchor } from '../../src/runtime/pki/authority.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { FakeKube } from '../support/fake-kube.ts'
import { installedCluster } from '../support/installed-cluster.ts'

const test = suite('actions/inject-manual')
const nowMs = Date.UTC(2026, 0, 15)
const anchor = createTrustAnchor('root', { notBeforeMs: nowMs, notAfterMs: nowMs + 86_400_000 })
const mesh = assumedMesh('linkerd', anchor.certificate.toPem())

const deployment = (annotation = '') => `kind: Deployment
apiVersion: apps/v1
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}${annotation}}
    spec:
      containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]
`

interface Template {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> }
  spec: {
    containers: { name: string }[]
    initContainers: { name: string; env?: { name: string; value?: string }[] }[]
  }
}

function injected(text: string): { documents: ReturnType<typeof parseManifest>; template: Template } {
  const documents = parseManifest(text, 'test')
  inject(documents, { mode: 'enabled', config: {} })
  injectManually(documents, mesh, 'default')
  const [object] = plainObjects(documents) as unknown as { spec: { template: Template } }[]
  if (object === undefined) throw new Error('no object')
  return { documents, template: object.spec.template }
}

test('the pod gets the containers, labels and trust anchors that the injector would give it', () => {
  const { template } = injected(deployment())
  assert.equal(
    template.spec.initContainers.map(({ name }) => name),
    ['linkerd-init', 'linkerd-proxy'],
  )
  assert.is(template.metadata.labels['linkerd.io/control-plane-ns'], 'linkerd')
  assert.is(template.metadata.labels['linkerd.io/proxy-deployment'], 'web')
  const env = new Map(template.spec.initContainers[1]?.env?.map(({ name, value }) => [name, value]))
  assert.is(env.get('LINKERD2_PROXY_INBOUND_PORTS'), '8080')
  assert.is(env.get('LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS')?.trim(), anchor.certificate.toPem().trim())
})

test('annotations are followed', () => {
  const { template } = injected(
    deployment(
      ', annotations: {config.linkerd.io/proxy-log-level: debug, config.linkerd.io/opaque-ports: "8080"}',
    ),
  )
  const env = new Map(template.spec.initContainers[1]?.env?.map(({ name, value }) => [name, value]))
  assert.is(env.get('LINKERD2_PROXY_LOG'), 'debug')
})

test('an annotation that cannot be followed is refused', () => {
  assert.throws(
    () => injected(deployment(', annotations: {config.linkerd.io/proxy-uid: root}')),
    (error: MeshError) => error instanceof MeshError && error.code === 'MESH_INJECT_ANNOTATION',
  )
})

test('uninject takes all of it out again', () => {
  const { documents } = injected(deployment())
  uninject(documents)
  const text = JSON.stringify(plainObjects(documents))
  assert.not.match(text, /linkerd-proxy|linkerd-init|linkerd-identity|"linkerd\.io\//)
})

test('injecting manually twice is injecting once', () => {
  const { documents, template } = injected(deployment())
  inject(documents, { mode: 'enabled', config: {} })
  injectManually(documents, mesh, 'default')
  const [again] = plainObjects(documents) as unknown as { spec: { template: Template } }[]
  assert.equal(again?.spec.template, template)
})

test('what an installation says is used', async () => {
  const { client, kube } = await installedCluster(nowMs)
  const known = await readInstalledMesh(client, 'linkerd')
  assert.is(known.values.clusterDomain, 'cluster.local')
  assert.match(known.trustAnchors, /BEGIN CERTIFICATE/)
  await kube.remove(resources.configMaps, 'linkerd-identity-trust-roots', 'linkerd')
  await refuses(kube)
  await refuses(new FakeKube())
})

async function refuses(kube: FakeKube): Promise<void> {
  try {
    await readInstalledMesh(kube, 'linkerd')
  } catch (thrown) {
    assert.is((thrown as MeshError).code, 'MESH_INJECT_NO_CONTROL_PLANE')
    return
  }
  throw new Error('it was accepted')
}

test('values that cannot be read are named', async () => {
  const kube = new FakeKube()
  kube.put(resources.configMaps, {
    metadata: { name: 'linkerd-config', namespace: 'linkerd' },
    data: { values: '[]: {' },
  } as KubeObject)
  await refuses(kube)
})

test.run()
