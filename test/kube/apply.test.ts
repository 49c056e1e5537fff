import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyObjects } from '../../src/runtime/kube/apply.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import { KubeError, type KubeObject } from '../../src/runtime/kube/types.ts'
import type { MeshError } from '../../src/runtime/shared/errors.ts'
import { FakeClock, settle } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'

const test = suite('kube/apply')

const kinds: Record<string, { name: string; kind: string; namespaced: boolean }[]> = {
  '/api/v1': [
    { name: 'namespaces', kind: 'Namespace', namespaced: false },
    { name: 'namespaces/status', kind: 'Namespace', namespaced: false },
    { name: 'configmaps', kind: 'ConfigMap', namespaced: true },
  ],
}

function world() {
  const kube = new FakeKube()
  const clock = new FakeClock()
  const known = { ...kinds }
  kube.onRaw = ({ path }) => {
    const found = known[path]
    return {
      status: found === undefined ? 404 : 200,
      headers: {},
      body: JSON.stringify({ resources: found }),
    }
  }
  return { kube, clock, known }
}

const namespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }
const configMap: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'shop' },
}

test('applies in order and says what came of each', async () => {
  const { kube, clock } = world()
  kube.put(resources.configMaps, { ...configMap })
  const told: string[] = []
  const done = await applyObjects(kube, [namespace, configMap], {
    clock,
    onApplied: ({ kind, name, outcome }) => told.push(`${kind} ${name} ${outcome}`),
  })
  assert.equal(told, ['Namespace shop created', 'ConfigMap a configured'])
  assert.equal(done[1], {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: 'a',
    namespace: 'shop',
    outcome: 'configured',
  })
  assert.is(done[0]?.namespace, undefined)
})

test('waits for a kind whose CRD was applied just before', async () => {
  const { kube, clock, known } = world()
  const server: KubeObject = {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: { name: 's' },
  }
  const applying = applyObjects(kube, [server], { clock })
  await settle()
  known['/apis/policy.linkerd.io/v1beta3'] = [{ name: 'servers', kind: 'Server', namespaced: true }]
  await clock.advance(500)
  assert.is((await applying)[0]?.namespace, 'default')
})

test('a kind that never comes is named, with what to do', async () => {
  const { kube, clock } = world()
  const applying = applyObjects(kube, [{ apiVersion: 'x/v1', kind: 'X', metadata: { name: 'x' } }], { clock })
  const error = applying.catch((thrown: MeshError) => thrown) as Promise<MeshError>
  await clock.advance(10_000)
  assert.is((await error).code, 'MESH_APPLY_KIND')
})

test('a refusal names the object; what was applied stays', async () => {
  const { kube, clock } = world()
  kube.onCall = (verb, resource) => {
    if (verb === 'patch' && resource.kind === 'ConfigMap') throw new KubeError(403, 'Forbidden', 'not you')
  }
  const error = (await applyObjects(kube, [namespace, configMap], { clock }).catch(
    (thrown) => thrown,
  )) as MeshError
  assert.is(error.code, 'MESH_APPLY_REFUSED')
  assert.match(error.message, 'ConfigMap shop/a')
  assert.is(error.reason, 'not you')
  assert.is(kube.all(resources.namespaces).length, 1)
})

test.run()
