import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  clearReports,
  podKeyOf,
  readReports,
  writeReport,
} from '../../../src/runtime/control/identity/acknowledgements.ts'
import { bootstrapIdentity } from '../../../src/runtime/control/identity/bootstrap.ts'
import {
  type ConfigMap,
  nextAnchorSecretName,
  type Secret,
  tlsPairOf,
} from '../../../src/runtime/control/identity/objects.ts'
import { readIssuer } from '../../../src/runtime/control/identity/reconcile.ts'
import { stepRotation } from '../../../src/runtime/control/identity/rotate.ts'
import { hashOf, revisionOf } from '../../../src/runtime/control/identity/rotation.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { parseCertificates } from '../../../src/runtime/pki/certificate.ts'
import { createLogger } from '../../../src/runtime/shared/logger.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeKube } from '../../support/fake-kube.ts'

const test = suite('control/identity/rotate')

const namespace = 'linkerd'
const settings = { graceMs: 3_600_000, settleMs: 1_000, leafMs: 60_000 }

async function world() {
  const kube = new FakeKube()
  const clock = new FakeClock()
  const base = { kube, clock, namespace, trustDomain: 'cluster.local' }
  await bootstrapIdentity({ ...base, logger: createLogger('test', 'silent') })
  const options = { ...base, replica: 'identity-0', settings }
  const bundle = async () => {
    const roots = await kube.read<ConfigMap>(resources.configMaps, 'linkerd-identity-trust-roots', namespace)
    return roots?.data?.['ca-bundle.crt'] ?? ''
  }
  const issuerAnchor = async () => {
    const secret = await kube.read<Secret>(resources.secrets, 'linkerd-identity-issuer', namespace)
    const pair = tlsPairOf(secret)
    if (pair === undefined) throw new Error('no issuer')
    return hashOf(readIssuer(pair, await bundle(), clock.nowMs()).anchor)
  }
  /** The replica tells that these pods have the bundle as it is. */
  const report = async (uids: string[]) => {
    const revision = revisionOf(parseCertificates(await bundle()).map(hashOf))
    const pods = uids.map(podKeyOf)
    await writeReport(kube, namespace, 'identity-0', { revision, issuerAnchor: await issuerAnchor(), pods })
  }
  const ask = (id: string) =>
    kube.mergePatch(
      resources.configMaps,
      'linkerd-identity-status',
      { metadata: { annotations: { 'linkerd.io/rotate-trust-anchor': id } } },
      { namespace },
    )
  const pod = (name: string, uid: string) =>
    kube.put(resources.pods, {
      metadata: { name, namespace: 'shop', uid, labels: { 'linkerd.io/control-plane-ns': namespace } },
      spec: { initContainers: [{ name: 'linkerd-proxy' }] },
      status: { phase: 'Running' },
    } as never)
  return { kube, clock, options, bundle, issuerAnchor, report, ask, pod }
}

test('the whole way: nothing goes on without the proxy, and only the new anchor is left', async () => {
  const { kube, clock, options, bundle, issuerAnchor, report, ask, pod } = await world()
  const first = await issuerAnchor()
  pod('web', 'uid-web')
  assert.is((await stepRotation(options)).status.stage, 'idle')
  await ask('now')
  const steps = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await stepRotation(options)
    await clock.advance(2_000)
    return (await stepRotation(options)).status
  }
  const waiting = await steps(6)
  assert.is(waiting.stage, 'distribute')
  assert.equal(waiting.proxies, { live: 1, acknowledged: 0, waitingFor: ['shop/web'] })
  assert.is(parseCertificates(await bundle()).length, 2)
  assert.is(await issuerAnchor(), first, 'the old anchor issues while a proxy lacks the new one')

  await report(['uid-web'])
  await steps(3)
  assert.not((await issuerAnchor()) === first)
  assert.is((await steps(1)).stage, 'issue', 'the replica has not said that it signs with the new issuer')
  await report(['uid-web'])
  const retiring = await steps(2)
  assert.is(retiring.stage, 'retire')
  assert.is(parseCertificates(await bundle()).length, 2)

  await clock.advance(Date.parse(retiring.retireAt ?? '') - clock.nowMs())
  const done = await steps(3)
  assert.is(done.stage, 'idle')
  assert.is(done.answered, 'now')
  assert.equal(parseCertificates(await bundle()).map(hashOf), [await issuerAnchor()])
  assert.is(await kube.read(resources.secrets, nextAnchorSecretName, namespace), undefined)
  const kept = await kube.read<Secret>(resources.secrets, 'linkerd-identity-trust-anchor', namespace)
  assert.equal(
    parseCertificates(tlsPairOf(kept)?.certificatePem ?? '').map(hashOf),
    [await issuerAnchor()],
    'the key of the old anchor is gone',
  )
})

test('a pod that is gone holds up nothing', async () => {
  const { kube, clock, options, ask, pod } = await world()
  pod('web', 'uid-web')
  await stepRotation(options)
  await ask('now')
  for (let turn = 0; turn < 6; turn++) await stepRotation(options)
  await clock.advance(5_000)
  assert.is((await stepRotation(options)).status.stage, 'distribute')
  await kube.remove(resources.pods, 'web', 'shop')
  assert.is((await stepRotation(options)).status.stage, 'issue')
})

test('stopped before any write, whoever comes next brings it to its end', async () => {
  for (let stopAt = 1; stopAt < 16; stopAt++) {
    const { kube, clock, options, issuerAnchor, bundle, report, ask } = await world()
    const first = await issuerAnchor()
    await stepRotation(options)
    await ask('now')
    let writes = 0
    kube.onCall = (verb) => {
      if (verb === 'get' || verb === 'list') return
      writes += 1
      if (writes === stopAt) throw new Error('stopped')
    }
    for (let turn = 0; turn < 45; turn++) {
      const step = await stepRotation(options).catch(() => undefined)
      if (step?.status.stage === 'issue') await report([]).catch(() => {})
      await clock.advance(step?.status.stage === 'retire' ? 30_000 : 1_000)
    }
    kube.onCall = () => {}
    const { status } = await stepRotation(options)
    assert.is(status.answered, 'now', `stopped at write ${stopAt}`)
    assert.equal(parseCertificates(await bundle()).map(hashOf), [await issuerAnchor()])
    assert.not((await issuerAnchor()) === first)
  }
})

test('reports of replicas stand beside each other, and what is no report is passed over', async () => {
  const { kube } = await world()
  const report = { revision: 'r', issuerAnchor: 'a', pods: [podKeyOf('x')] }
  await writeReport(kube, namespace, 'one', report)
  await writeReport(kube, namespace, 'two', report)
  await kube.mergePatch(
    resources.configMaps,
    'linkerd-identity-acknowledgements',
    { data: { three: '{', four: '{"pods":1}' } },
    { namespace },
  )
  assert.equal([...(await readReports(kube, namespace)).keys()], ['one', 'two'])
  await clearReports(kube, namespace)
  assert.is((await readReports(kube, namespace)).size, 0)
})

test.run()
