import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { explain, explainableCodes } from '../../src/runtime/actions/explain.ts'
import { install } from '../../src/runtime/actions/install.ts'
import { prune } from '../../src/runtime/actions/prune.ts'
import { resolveValues } from '../../src/runtime/actions/resolve-values.ts'
import { uninstall } from '../../src/runtime/actions/uninstall.ts'
import { upgrade } from '../../src/runtime/actions/upgrade.ts'
import { proxyVersions, serverVersion } from '../../src/runtime/actions/version.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { meshVersion } from '../../src/runtime/shared/version.ts'
import type { RenderedObject } from '../../src/templates/render.ts'
import { FakeKube } from '../support/fake-kube.ts'
import { installedCluster } from '../support/installed-cluster.ts'

const test = suite('actions/lifecycle')
const nowMs = Date.UTC(2026, 0, 15)
const noFiles = async (path: string): Promise<string> => {
  throw new Error(`no file ${path}`)
}

async function codeOf(running: Promise<unknown>): Promise<string> {
  try {
    await running
  } catch (thrown) {
    assert.instance(thrown, MeshError)
    return (thrown as MeshError).code
  }
  return 'none'
}

const idOf = ({ kind, metadata }: { kind?: string; metadata: { name: string } }) => `${kind}/${metadata.name}`

test('install wants its custom resources first, and no other installation', async () => {
  const { kube } = await installedCluster(nowMs)
  const values = await resolveValues({}, noFiles)
  assert.is(await codeOf(install({ values, crds: false }, kube)), 'MESH_INSTALL_EXISTS')
  await kube.remove(resources.configMaps, 'linkerd-config', 'linkerd')
  assert.ok((await install({ values, crds: false }, kube)).length > 20)
  await kube.remove(resources.customResourceDefinitions, 'servers.policy.linkerd.io')
  assert.is(await codeOf(install({ values, crds: false }, kube)), 'MESH_INSTALL_NO_CRDS')
  assert.ok((await install({ values, crds: true }, kube)).length > 10)
})

test('the Gateway API of somebody else is left alone', async () => {
  const kube = new FakeKube()
  const crd = (annotations: Record<string, string>) =>
    ({
      metadata: { name: 'httproutes.gateway.networking.k8s.io', annotations },
      spec: { group: 'gateway.networking.k8s.io' },
    }) as KubeObject
  kube.put(resources.customResourceDefinitions, crd({}))
  const values = await resolveValues({ set: ['installGatewayAPI=true'] }, noFiles)
  assert.is(await codeOf(install({ values, crds: true }, kube)), 'MESH_INSTALL_FOREIGN_GATEWAY_API')
  kube.put(resources.customResourceDefinitions, crd({ 'linkerd.io/created-by': 'mesh/cli 0.0.1' }))
  assert.ok((await install({ values, crds: true }, kube)).length > 10)
})

/** An installation with choices of its own. */
async function chosenCluster(): Promise<FakeKube> {
  const kube = new FakeKube()
  const values = await resolveValues({ ha: true, set: ['proxy.logLevel=debug'] }, noFiles)
  for (const object of await install({ values, crds: false }, undefined)) {
    if (object.kind === 'ConfigMap') kube.put(resources.configMaps, object as KubeObject)
  }
  return kube
}

const configOf = (objects: readonly RenderedObject[]) =>
  JSON.stringify(objects.find(({ metadata }) => metadata.name === 'linkerd-config')?.data)

test('upgrade keeps what was chosen, and changes what is asked', async () => {
  const kube = await chosenCluster()
  const deps = { client: () => kube, readText: noFiles }
  const same = await upgrade({ namespace: 'linkerd', inputs: {}, crds: false }, deps)
  const values = await resolveValues({ ha: true, set: ['proxy.logLevel=debug'] }, noFiles)
  assert.equal(same, await install({ values, crds: false }, undefined))
  const changed = await upgrade(
    { namespace: 'linkerd', inputs: { set: ['proxy.logLevel=info,clusterDomain=a.b'] }, crds: false },
    deps,
  )
  assert.match(configOf(changed), /logLevel: info/)
  assert.match(configOf(changed), /controllerReplicas: 3/)
  assert.match(configOf(changed), /identityTrustDomain: a.b/)
})

test('upgrade stores only choices: the rest follows the defaults of its version', async () => {
  const kube = await chosenCluster()
  const config = await kube.read<KubeObject & { data: Record<string, string> }>(
    resources.configMaps,
    'linkerd-config',
    'linkerd',
  )
  assert.match(config?.data.overrides ?? '', /logLevel: debug/)
  assert.not.match(config?.data.overrides ?? '', /clusterDomain|image/)
  assert.match(config?.data.values ?? '', /clusterDomain/)
})

test('upgrade without an installation, or with one of another program, says so', async () => {
  const kube = new FakeKube()
  const run = () =>
    upgrade({ namespace: 'linkerd', inputs: {}, crds: false }, { client: () => kube, readText: noFiles })
  assert.is(await codeOf(run()), 'MESH_UPGRADE_NOT_INSTALLED')
  const config = (data: Record<string, string>) =>
    kube.put(resources.configMaps, {
      metadata: { name: 'linkerd-config', namespace: 'linkerd' },
      data,
    } as KubeObject)
  config({ values: 'a: 1' })
  assert.is(await codeOf(run()), 'MESH_UPGRADE_CONFIG')
  config({ overrides: '[' })
  assert.is(await codeOf(run()), 'MESH_UPGRADE_CONFIG')
  config({ overrides: 'gone: 1' })
  assert.is(await codeOf(run()), 'MESH_VALUES_UNKNOWN_KEY')
})

test('uninstall refuses while mesh is in use, then names everything by its identity alone', async () => {
  const { kube } = await installedCluster(nowMs)
  assert.is(await codeOf(uninstall(kube, { force: false })), 'MESH_UNINSTALL_IN_USE')
  await kube.remove(resources.pods, 'web-1', 'shop')
  kube.put(resources.namespaces, {
    metadata: { name: 'linkerd-viz', labels: { 'linkerd.io/extension': 'viz' } },
  })
  assert.is(await codeOf(uninstall(kube, { force: false })), 'MESH_UNINSTALL_IN_USE')
  assert.ok((await uninstall(kube, { force: true })).length > 0)
  await kube.remove(resources.namespaces, 'linkerd-viz')
  const objects = await uninstall(kube, { force: false })
  const ids = objects.map(idOf)
  for (const id of [
    'Namespace/linkerd',
    'ClusterRole/linkerd-linkerd-identity',
    'CustomResourceDefinition/servers.policy.linkerd.io',
  ]) {
    assert.ok(ids.includes(id), id)
  }
  assert.is(ids.at(-1), 'Namespace/linkerd')
  for (const object of objects) assert.equal(Object.keys(object), ['apiVersion', 'kind', 'metadata'])
})

test('uninstall of nothing is nothing', async () => {
  assert.equal(await uninstall(new FakeKube(), { force: false }), [])
})

test('a kind that the cluster does not have is no obstacle', async () => {
  const { kube } = await installedCluster(nowMs)
  kube.missingKinds.add('apiservices')
  assert.ok((await uninstall(kube, { force: true })).length > 0)
})

test('prune names what the manifests do not have any more, and nothing else', async () => {
  const { kube } = await installedCluster(nowMs)
  assert.equal(await prune(kube, 'linkerd', noFiles), [])
  const labels = { 'linkerd.io/control-plane-ns': 'linkerd' }
  kube.put(resources.services, { metadata: { name: 'old', namespace: 'linkerd', labels } })
  kube.put(resources.clusterRoles, { metadata: { name: 'old', labels } })
  kube.put(resources.services, { metadata: { name: 'metrics-api', namespace: 'linkerd-viz', labels } })
  kube.put(resources.services, { metadata: { name: 'own', namespace: 'linkerd' } })
  assert.equal((await prune(kube, 'linkerd', noFiles)).map(idOf).sort(), ['ClusterRole/old', 'Service/old'])
})

test('versions of server and proxies', async () => {
  const { kube } = await installedCluster(nowMs)
  assert.is(await serverVersion(kube, 'linkerd'), meshVersion)
  assert.is(await serverVersion(kube, 'elsewhere'), undefined)
  assert.equal(await proxyVersions(kube, 'linkerd'), [{ version: meshVersion, pods: 4 }])
  assert.equal(await proxyVersions(kube, 'linkerd', 'shop'), [{ version: meshVersion, pods: 1 }])
})

const markdown = `# Codes

## Values

### \`MESH_A\`

About A.

**What to do.** Mend it.

### \`MESH_B\`

About B.

## Next chapter
`

test('explain knows documented codes and checks, and near misses', async () => {
  assert.is(explain('mesh_a', markdown).text, 'About A.\n\n**What to do.** Mend it.')
  assert.is(explain('MESH_B', markdown).text, 'About B.')
  assert.match(explain('MESH_CHECK_PODS_READY', markdown).text, /control plane pods are ready/)
  assert.ok(explainableCodes(markdown).includes('MESH_A'))
  try {
    explain('MESH_CHECK_POD_READY', markdown)
    assert.unreachable()
  } catch (thrown) {
    assert.is((thrown as MeshError).code, 'MESH_EXPLAIN_UNKNOWN_CODE')
    assert.match((thrown as MeshError).next.join(), /MESH_CHECK_PODS_READY/)
  }
})

test.run()
