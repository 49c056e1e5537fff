import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Condition, ParentStatus } from '../../../src/runtime/control/policy/status/conditions.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { KubeObject, Resource } from '../../../src/runtime/kube/types.ts'
import { type Manifest, service } from '../../support/cluster-objects.ts'
import { type DestinationUnderTest, hurriedClock, startDestination } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'
import { policyObject, server } from '../../support/policy-objects.ts'

interface Context {
  kube: FakeKube
  control: DestinationUnderTest
}

const test = suite<Context>('control/policy: status of routes')

test.before.each(async (context) => {
  context.kube = new FakeKube()
  context.kube.put(resources.services, service('api'), service('headless', { clusterIp: 'None' }))
  context.kube.put(resources.servers, server('web-http'))
  context.control = await startDestination(context.kube, [], hurriedClock)
})

test.after.each(async ({ control }) => {
  await control.close()
})

const toApi = { group: 'core', kind: 'Service', name: 'api', port: 80 }

function route(name: string, parentRefs: Record<string, unknown>[], rules: unknown[] = [{}]): Manifest {
  return policyObject(name, { parentRefs, rules })
}

interface RouteWithStatus extends KubeObject {
  status?: { parents: ParentStatus[] }
}

/** The entries of a status once the condition holds. */
async function parentsOf(
  kube: FakeKube,
  name: string,
  isWanted: (parents: ParentStatus[]) => boolean = (parents) => parents.length > 0,
  resource: Resource = resources.policyHttpRoutes,
): Promise<ParentStatus[]> {
  const deadlineMs = Date.now() + 10_000
  for (;;) {
    const parents = (await kube.read<RouteWithStatus>(resource, name, 'shop'))?.status?.parents ?? []
    if (isWanted(parents)) return parents
    if (Date.now() > deadlineMs) throw new Error(`the status stays ${JSON.stringify(parents)}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function conditionOf(parent: ParentStatus | undefined, type: string): Condition | undefined {
  return parent?.conditions?.find((each) => each.type === type)
}

/** `Accepted=True/Accepted` of each entry. */
function summary(parents: ParentStatus[], type = 'Accepted'): string[] {
  return parents.map((parent) => {
    const condition = conditionOf(parent, type)
    return `${condition?.status}/${condition?.reason}`
  })
}

test('says which parents took the route', async ({ kube }) => {
  kube.put(
    resources.policyHttpRoutes,
    route('r', [
      toApi,
      { kind: 'Service', name: 'nobody' },
      { kind: 'Service', name: 'headless' },
      { kind: 'Service', name: 'api', port: 81 },
      { group: 'policy.linkerd.io', kind: 'Server', name: 'web-http' },
      { group: 'policy.linkerd.io', kind: 'Server', name: 'other' },
      { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'ingress' },
    ]),
  )
  const parents = await parentsOf(kube, 'r')
  assert.equal(summary(parents), [
    'True/Accepted',
    'False/NoMatchingParent',
    'False/NoMatchingParent',
    'False/NoMatchingParent',
    'True/Accepted',
    'False/NoMatchingParent',
  ])
  assert.equal(parents[0]?.controllerName, 'linkerd.io/policy-controller')
  assert.equal(parents[0]?.parentRef, toApi)
  assert.match(conditionOf(parents[2], 'Accepted')?.message ?? '', /ClusterIP/)
})

test('says which backends are missing, and takes it back when they come', async ({ kube }) => {
  const backendRefs = [
    { name: 'api', port: 80 },
    { name: 'late', port: 80 },
  ]
  kube.put(resources.policyHttpRoutes, route('r', [toApi], [{ backendRefs }]))
  const missing = await parentsOf(kube, 'r')
  assert.equal(summary(missing, 'ResolvedRefs'), ['False/BackendNotFound'])
  assert.match(conditionOf(missing[0], 'ResolvedRefs')?.message ?? '', /shop\/late/)
  kube.put(resources.services, service('late', { clusterIp: '10.96.0.77' }))
  const found = await parentsOf(
    kube,
    'r',
    (parents) => summary(parents, 'ResolvedRefs')[0] === 'True/ResolvedRefs',
  )
  assert.is(
    conditionOf(found[0], 'Accepted')?.lastTransitionTime,
    conditionOf(missing[0], 'Accepted')?.lastTransitionTime,
  )
})

test('a backend of another kind is said to be one', async ({ kube }) => {
  const backendRefs = [{ group: 'x', kind: 'Bucket', name: 'b' }]
  kube.put(resources.policyHttpRoutes, route('r', [toApi], [{ backendRefs }]))
  assert.equal(summary(await parentsOf(kube, 'r'), 'ResolvedRefs'), ['False/InvalidKind'])
})

test('a route that cannot be used says why', async ({ kube }) => {
  kube.put(resources.policyHttpRoutes, route('r', [toApi], [{ filters: [{ type: 'URLRewrite' }] }]))
  const parents = await parentsOf(kube, 'r')
  assert.equal(summary(parents), ['False/UnsupportedValue'])
  assert.match(conditionOf(parents[0], 'Accepted')?.message ?? '', /URLRewrite/)
})

test('an HTTPRoute beside a GRPCRoute conflicts, until that goes', async ({ kube }) => {
  kube.put(resources.gatewayGrpcRoutes, route('calls', [toApi]))
  kube.put(resources.policyHttpRoutes, route('r', [toApi]))
  assert.equal(summary(await parentsOf(kube, 'r')), ['False/RouteReasonConflicted'])
  const calls = await parentsOf(kube, 'calls', undefined, resources.gatewayGrpcRoutes)
  assert.equal(summary(calls), ['True/Accepted'])
  await kube.remove(resources.gatewayGrpcRoutes, 'calls', 'shop')
  await parentsOf(kube, 'r', (parents) => summary(parents)[0] === 'True/Accepted')
})

test('what other controllers wrote stays, and what is wiped comes back', async ({ kube }) => {
  const foreign = { controllerName: 'example.com/gateway', parentRef: { name: 'g' }, conditions: [] }
  kube.put(resources.gatewayHttpRoutes, {
    ...route('r', [toApi]),
    status: { parents: [foreign] },
  } as Manifest)
  const gateway = resources.gatewayHttpRoutes
  const isWhole = (parents: ParentStatus[]) => parents.length === 2
  assert.equal((await parentsOf(kube, 'r', isWhole, gateway))[0], foreign)
  await kube.mergePatch(gateway, 'r', { status: { parents: [foreign] } }, { namespace: 'shop' })
  assert.equal((await parentsOf(kube, 'r', isWhole, gateway))[0], foreign)
})

test('a status that is right is not written again, and a refused write is tried again', async ({ kube }) => {
  let patches = 0
  let refusals = 2
  kube.onCall = (verb, resource) => {
    if (verb !== 'patch' || resource.plural !== 'httproutes') return
    patches += 1
    if (refusals-- > 0) throw new Error('not now')
  }
  kube.put(resources.policyHttpRoutes, route('r', [toApi]))
  await parentsOf(kube, 'r')
  assert.is(patches, 3)
  kube.breakWatches()
  kube.put(resources.policyHttpRoutes, route('other', [toApi]))
  await parentsOf(kube, 'other')
  assert.is(patches, 4)
})

test('rate limits and egress networks are told whether they take effect', async ({ kube }) => {
  const targetRef = { group: 'policy.linkerd.io', kind: 'Server', name: 'web-http' }
  const total = { requestsPerSecond: 10 }
  const dated = (object: Manifest, day: number): Manifest => {
    object.metadata.creationTimestamp = `2026-01-0${day}T00:00:00Z`
    return object
  }
  kube.put(
    resources.httpLocalRateLimitPolicies,
    dated(policyObject('old', { targetRef, total }), 1),
    dated(policyObject('young', { targetRef, total }), 2),
    policyObject('lost', { targetRef: { ...targetRef, name: 'nobody' }, total }),
  )
  kube.put(
    resources.egressNetworks,
    policyObject('all', { trafficPolicy: 'Allow' }),
    policyObject('overlapping', { trafficPolicy: 'Allow', networks: [{ cidr: '10.0.0.0/8' }] }),
  )
  const reasonOf = async (resource: Resource, name: string) => {
    const deadlineMs = Date.now() + 10_000
    for (;;) {
      type Conditioned = KubeObject & { status?: { conditions: Condition[] } }
      const condition = (await kube.read<Conditioned>(resource, name, 'shop'))?.status?.conditions[0]
      if (condition !== undefined) return `${condition.status}/${condition.reason}`
      if (Date.now() > deadlineMs) throw new Error(`${name} has no status`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  assert.is(await reasonOf(resources.httpLocalRateLimitPolicies, 'old'), 'True/Accepted')
  assert.is(
    await reasonOf(resources.httpLocalRateLimitPolicies, 'young'),
    'False/RateLimitReasonAlreadyExists',
  )
  assert.is(await reasonOf(resources.httpLocalRateLimitPolicies, 'lost'), 'False/NoMatchingTarget')
  assert.is(await reasonOf(resources.egressNetworks, 'all'), 'True/Accepted')
  assert.is(await reasonOf(resources.egressNetworks, 'overlapping'), 'False/EgressReasonNetworkOverlap')
})

test('only the holder of the lease writes; the lease is given back at the end', async () => {
  const kube = new FakeKube()
  kube.put(resources.services, service('api'))
  let isHeld = true
  kube.onCall = (verb, resource) => {
    if (verb === 'update' && resource.plural === 'leases' && isHeld) throw new Error('held')
  }
  kube.put(resources.leases, {
    metadata: { name: 'policy-controller-write', namespace: 'linkerd' },
    spec: { holderIdentity: 'another', leaseDurationSeconds: 30 },
  } as Manifest)
  const control = await startDestination(kube, [], hurriedClock)
  kube.put(resources.policyHttpRoutes, route('r', [toApi]))
  await control.inbound.getPort({ workload: 'shop:nobody', port: 80 }).catch(() => {})
  assert.is((await kube.read<RouteWithStatus>(resources.policyHttpRoutes, 'r', 'shop'))?.status, undefined)

  isHeld = false
  kube.put(resources.leases, {
    metadata: { name: 'policy-controller-write', namespace: 'linkerd' },
    spec: { holderIdentity: '', leaseDurationSeconds: 1 },
  } as Manifest)
  await parentsOf(kube, 'r')
  assert.ok(await holderOf(kube))
  await control.close()
  assert.is(await holderOf(kube), '')
})

async function holderOf(kube: FakeKube): Promise<string | undefined> {
  type Lease = KubeObject & { spec: { holderIdentity: string } }
  const lease = await kube.read<Lease>(resources.leases, 'policy-controller-write', 'linkerd')
  return lease?.spec.holderIdentity
}

test.run()
