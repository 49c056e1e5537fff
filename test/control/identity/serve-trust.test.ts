import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startGrpcServer } from '../../../src/runtime/control/grpc.ts'
import { podKeyOf } from '../../../src/runtime/control/identity/acknowledgements.ts'
import { trustRoutes } from '../../../src/runtime/control/identity/serve-trust.ts'
import { TrustHub } from '../../../src/runtime/control/identity/trust-hub.ts'
import type { KubeObject, Resource } from '../../../src/runtime/kube/types.ts'
import { createTrustAnchor } from '../../../src/runtime/pki/authority.ts'
import { TrustBundles } from '../../../src/runtime/proto/gen/mesh/identity/v1/trust_pb.js'
import { controllerDeps } from '../../support/controller-deps.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { until } from '../../support/until.ts'

/** Reviews tokens that are the UID of a pod; `bad` is none. */
class ReviewingKube extends FakeKube {
  override async create<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    if (resource.kind !== 'TokenReview') return super.create(resource, object)
    const { spec } = object as unknown as { spec: { token: string; audiences: string[] } }
    if (spec.token === 'bad') return { ...object, status: { authenticated: false } }
    const extra = { 'authentication.kubernetes.io/pod-uid': [spec.token] }
    const user = { username: 'system:serviceaccount:shop:web', extra }
    return { ...object, status: { authenticated: true, audiences: spec.audiences, user } }
  }
}

const now = Date.now()
const anchor = (name: string) =>
  createTrustAnchor(name, { notBeforeMs: now - 1000, notAfterMs: now + 1e9 }).certificate
const [first, second] = [anchor('first'), anchor('second')]

const test = suite('control/identity/serve-trust')
let hub: TrustHub
let client: Client<typeof TrustBundles>
let close: () => Promise<void>

test.before.each(async () => {
  hub = new TrustHub()
  const kube = new ReviewingKube()
  const { deps } = controllerDeps(kube, {})
  const server = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0 },
    metrics: deps.metrics,
    clock: deps.clock,
    routes: trustRoutes(kube, hub),
  })
  const baseUrl = `http://127.0.0.1:${server.address.port}`
  const sessionManager = new Http2SessionManager(baseUrl)
  client = createClient(TrustBundles, createGrpcTransport({ baseUrl, sessionManager }))
  close = async () => {
    sessionManager.abort()
    await server.close()
  }
})
test.after.each(async () => {
  await close()
})

function watch(pod: string, heldRevision = '') {
  const ended = new AbortController()
  const token = new TextEncoder().encode(pod)
  const bundles = client.watch({ token, heldRevision }, { signal: ended.signal })[Symbol.asyncIterator]()
  const next = async () => (await bundles.next()).value
  const end = async () => {
    ended.abort()
    await bundles.next().catch(() => {})
  }
  return { next, end }
}

test('a proxy gets the bundle at once, and each later one', async () => {
  hub.setBundle(first.toPem())
  const one = watch('pod-1')
  const got = await one.next()
  assert.equal(
    got?.anchors.map((der: Uint8Array) => Buffer.from(der)),
    [first.der],
  )
  hub.setBundle(first.toPem() + second.toPem())
  const later = await one.next()
  assert.is(later?.anchors.length, 2)
  assert.not(later?.revision === got?.revision)
  hub.setBundle(second.toPem() + first.toPem())
  assert.is(hub.bundle?.revision, later?.revision, 'the order does not count')
  await one.end()
})

test('it counts as having what it says it holds, for as long as it watches', async () => {
  hub.setBundle(first.toPem())
  const revision = hub.bundle?.revision ?? ''
  const [asking, holding, stale] = [watch('pod-1'), watch('pod-2', revision), watch('pod-3', 'older')]
  await Promise.all([asking.next(), holding.next(), stale.next()])
  assert.equal(hub.podsWithBundle(), [podKeyOf('pod-2')])
  hub.setBundle(second.toPem())
  assert.equal(hub.podsWithBundle(), [], 'of the new bundle it has said nothing')
  hub.setBundle(first.toPem())
  await holding.end()
  await until('it is forgotten', () => hub.podsWithBundle().length === 0)
  await Promise.all([asking.end(), stale.end()])
})

test('a token that proves nothing is refused', async () => {
  const codeOf = async (token: string) => {
    try {
      await watch(token).next()
      return 'watched'
    } catch (error) {
      return Code[ConnectError.from(error).code]
    }
  }
  hub.setBundle(first.toPem())
  assert.is(await codeOf('bad'), 'FailedPrecondition')
  assert.is(await codeOf(''), 'InvalidArgument')
  assert.is(await codeOf('x'.repeat(70_000)), 'InvalidArgument')
})

test('a bundle that cannot be read leaves the last one', () => {
  hub.setBundle(first.toPem())
  const { revision } = hub.bundle ?? {}
  assert.throws(() => hub.setBundle('no certificate'))
  assert.is(hub.bundle?.revision, revision)
})

test.run()
