import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { parseGoDuration } from '../../../src/runtime/control/destination/go-duration.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { DestinationProfile } from '../../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { type Manifest, putWeb } from '../../support/cluster-objects.ts'
import { type DestinationUnderTest, Reader, startDestination } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'

interface Context {
  kube: FakeKube
  control: DestinationUnderTest
  readers: Reader<unknown>[]
}

const test = suite<Context>('control/destination: ServiceProfiles')

test.before.each(async (context) => {
  context.kube = new FakeKube()
  putWeb(context.kube)
  context.control = await startDestination(context.kube)
  context.readers = []
})

test.after.each(async ({ control, readers }) => {
  await Promise.all(readers.map((reader) => reader.close()))
  await control.close()
})

function profileOf({ control, readers }: Context, namespace?: string): Reader<DestinationProfile> {
  const contextToken = namespace === undefined ? '' : JSON.stringify({ ns: namespace })
  const reader = new Reader((options) =>
    control.discovery.getProfile({ path: 'web.shop.svc.cluster.local:80', contextToken }, options),
  )
  readers.push(reader)
  return reader
}

function profileYaml(spec: string, namespace = 'shop'): Manifest {
  return parse(`{ metadata: { name: web.shop.svc.cluster.local, namespace: ${namespace} }, spec: ${spec} }`)
}

test('routes, classes, budget and overrides reach the wire', async (context) => {
  context.kube.put(resources.serviceProfiles, profileYaml(fullSpec))
  const profile = await profileOf(context).until(({ routes }) => routes.length > 0)
  assert.is(profile.retryBudget?.retryRatio, 0.5)
  assert.is(profile.retryBudget?.ttl?.seconds, 90n)
  assert.equal(
    profile.dstOverrides.map(({ authority, weight }) => [authority, weight]),
    [
      ['web-v2.shop.svc.cluster.local:80', 5_000],
      ['web.shop.svc.cluster.local:81', 10_000],
    ],
  )
  assert.is(profile.dstOverrides[0]?.backendRef?.kind.case, 'resource')
  assert.equal(
    profile.routes.map(({ metricsLabels }) => metricsLabels.route),
    ['GET /a', 'either'],
  )
  const [get, either] = profile.routes
  assert.ok(get?.isRetryable)
  assert.is(get?.timeout?.nanos, 300_000_000)
  const condition = get?.condition?.match
  assert.equal(condition?.case === 'all' ? condition.value.matches.map(({ match }) => match.case) : [], [
    'path',
    'method',
  ])
  assert.equal(
    get?.responseClasses.map(({ isFailure, condition: each }) => [isFailure, each?.match.case]),
    [
      [true, 'status'],
      [false, 'not'],
    ],
  )
  const any = either?.condition?.match
  assert.equal(any?.case === 'any' ? any.value.matches.map(({ match }) => match.case) : [], ['method', 'not'])
})

const fullSpec = `{
  retryBudget: { retryRatio: 0.5, minRetriesPerSecond: 3, ttl: 1m30s },
  dstOverrides: [{ authority: web-v2.shop.svc.cluster.local, weight: 500m }, { authority: "web.shop.svc.cluster.local:81", weight: 1 }],
  routes: [
    { name: GET /a, isRetryable: true, timeout: 300ms, condition: { method: GET, pathRegex: /a },
      responseClasses: [{ isFailure: true, condition: { status: { min: 500, max: 599 } } }, { condition: { not: { status: { min: 404 } } } }] },
    { name: either, condition: { any: [{ method: PURGE }, { not: [{ pathRegex: /b }] }] } },
    { name: nothing, condition: {} } ] }`

test('the profile of the client’s namespace comes before the Service’s, and both may come and go', async (context) => {
  const { kube } = context
  const ratio = async (reader: Reader<DestinationProfile>) =>
    (await reader.next()).retryBudget?.minRetriesPerSecond
  const spec = (rate: number) =>
    `{ retryBudget: { retryRatio: 0.1, minRetriesPerSecond: ${rate}, ttl: 10s } }`
  const [ours, theirs] = [profileOf(context, 'office'), profileOf(context, 'shop')]
  assert.is(await ratio(ours), 10)
  assert.is(await ratio(theirs), 10)
  kube.put(resources.serviceProfiles, profileYaml(spec(1)))
  assert.is(await ratio(ours), 1)
  assert.is(await ratio(theirs), 1)
  kube.put(resources.serviceProfiles, profileYaml(spec(2), 'office'))
  assert.is(await ratio(ours), 2)
  await kube.remove(resources.serviceProfiles, 'web.shop.svc.cluster.local', 'office')
  assert.is(await ratio(ours), 1)
  await kube.remove(resources.serviceProfiles, 'web.shop.svc.cluster.local', 'shop')
  assert.is(await ratio(ours), 10)
  assert.is(await ratio(theirs), 10)
})

for (const opaquePorts of ['["80"]', '{ "80": true }']) {
  test(`opaque ports as ${opaquePorts}`, async (context) => {
    context.kube.put(resources.serviceProfiles, profileYaml(`{ opaquePorts: ${opaquePorts} }`))
    assert.ok((await profileOf(context).until(({ profileRef }) => profileRef !== undefined)).opaqueProtocol)
  })
}

const durations: [string, number | undefined][] = [
  ['300ms', 300],
  ['1.5h', 5_400_000],
  ['1m30s', 90_000],
  ['.5s', 500],
  ['0', 0],
  ['10', undefined],
  ['1d', undefined],
  ['', undefined],
  ['1s ', undefined],
]
for (const [text, expected] of durations) {
  test(`"${text}" is ${expected === undefined ? 'no duration of Go' : `${expected} ms`}`, () => {
    assert.is(parseGoDuration(text), expected)
  })
}

test.run()
