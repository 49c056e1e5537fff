import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CallResult } from './app/calls.ts'
import { type Cluster, deployPeer, installMesh, podsOf, shown, startCluster, until } from './cluster.ts'

/** The resources of the seed document, applied and seen to act. */
const test = suite('routes')

let cluster: Cluster
let client = ''

test.before(
  shown(async () => {
    cluster = await startCluster('routes')
    await installMesh(cluster)
    for (const name of ['client', 'api', 'web', 'web-stable', 'web-canary']) {
      await deployPeer(cluster, { namespace: 'myapp', name, meshed: true })
    }
    client = (await podsOf(cluster, 'myapp', 'client'))[0] ?? ''
  }),
)

test.after(
  shown(async () => {
    await cluster?.stop()
  }),
)

/** An HTTP/1.1 call of the client to a Service. */
async function call(service: string, path = '/', port = 8080): Promise<CallResult> {
  const host = `${service}.myapp.svc.cluster.local`
  const query = new URLSearchParams({ protocol: 'http1', host, port: String(port), path })
  return JSON.parse(await cluster.podGet('myapp', client, 9000, `/call?${query}`)) as CallResult
}

/** Which pod answered. */
function serverOf(result: CallResult): string {
  return (JSON.parse(result.body ?? '{}') as { server?: string }).server ?? ''
}

/** How many responses the proxy of a Service's pod has passed on from its application's HTTP/1.1 port. */
async function responsesOf(name: string): Promise<number> {
  const pod = (await podsOf(cluster, 'myapp', name))[0] ?? ''
  const metrics = await cluster.podGet('myapp', pod, 4191, '/metrics')
  return metrics
    .split('\n')
    .filter((line) => line.startsWith('response_total{') && line.includes('direction="inbound"'))
    .filter((line) => line.includes(':8080"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

const retries = `
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata:
  name: api-retries
  namespace: myapp
spec:
  parentRefs:
    - name: api
      kind: Service
  rules:
    - matches: [{ path: { type: PathPrefix, value: "/" } }]
      filters: []
      backendRefs:
        - name: api
          port: 8080
      timeouts: { request: 10s }
      retries:
        limit: 3
        timeout: 1s
        conditions: [{ status: ["5XX"] }]
`

test('the route of the seed tries a failing request three times more', async () => {
  const before = await responsesOf('api')
  assert.is((await call('api', '/?status=503')).status, 503)
  assert.is(await responsesOf('api'), before + 1, 'once before the route')

  await cluster.mustKubectl(['apply', '-f', '-'], retries)
  const status = '{.status.parents[0].conditions[?(@.type=="Accepted")].status}'
  await until('the route is accepted', async () => {
    const args = [
      'get',
      'httproutes.policy.linkerd.io',
      'api-retries',
      '-n',
      'myapp',
      '-o',
      `jsonpath=${status}`,
    ]
    return (await cluster.mustKubectl(args)) === 'True' ? true : undefined
  })
  await until('a failing request is tried four times in all', async () => {
    const start = await responsesOf('api')
    assert.is((await call('api', '/?status=503')).status, 503)
    return (await responsesOf('api')) === start + 4 ? true : undefined
  })
  const start = await responsesOf('api')
  assert.is((await call('api', '/?status=404')).status, 404)
  assert.is((await call('api')).status, 200)
  assert.is(await responsesOf('api'), start + 2, 'what did not fail is not tried again')
  // It names no port, so it is for all of them, and being older it would come before the next one.
  await cluster.mustKubectl(['delete', 'httproutes.policy.linkerd.io', 'api-retries', '-n', 'myapp'])
})

test('a request that takes longer than its timeout is answered with 504', async () => {
  // The TCP port of the peer says nothing until its client has finished, which an HTTP client does not do.
  const route = `
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: { name: silent, namespace: myapp }
spec: { parentRefs: [{ name: api, kind: Service, port: 8083 }], rules: [{ timeouts: { request: 500ms } }] }`
  await cluster.mustKubectl(['apply', '-f', '-'], route)
  await until('the timeout is in force', async () => {
    const result = await call('api', '/', 8083)
    return result.status === 504 ? true : undefined
  })
})

const split = `
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: { name: web-canary, namespace: myapp }
spec:
  service: web
  backends:
    - { service: web-stable, weight: 90 }
    - { service: web-canary, weight: 10 }
`

test('the split of the seed sends nine tenths to the stable version', async () => {
  assert.match(serverOf(await call('web')), /^web-[^sc]/)
  await cluster.mustKubectl(['apply', '-f', '-'], split)
  await until('the split is in force', async () => {
    return /^web-(stable|canary)-/.test(serverOf(await call('web'))) ? true : undefined
  })
  const calls = 300
  let canaries = 0
  for (let made = 0; made < calls; made += 5) {
    for (const result of await Promise.all(Array.from({ length: 5 }, () => call('web')))) {
      assert.is(result.status, 200)
      if (serverOf(result).startsWith('web-canary-')) canaries += 1
    }
  }
  // Four standard deviations of a binomial of 300 with a share of one tenth: wrong once in 15,000 runs.
  const deviation = Math.sqrt(calls * 0.1 * 0.9)
  assert.ok(Math.abs(canaries - 30) < 4 * deviation, `${canaries} of ${calls} went to the canary`)

  await cluster.mustKubectl(['delete', 'trafficsplit', 'web-canary', '-n', 'myapp'])
  await until('the Service is whole again', async () => {
    return /^web-[^sc]/.test(serverOf(await call('web'))) ? true : undefined
  })
})

test('a backend that does not exist answers its requests with 500', async () => {
  const route = `
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: { name: to-nowhere, namespace: myapp }
spec:
  parentRefs: [{ name: web, kind: Service }]
  rules:
  - matches: [{ path: { value: /gone } }]
    backendRefs: [{ name: nobody, port: 80 }]
  - backendRefs: [{ name: web-stable, port: 8080 }]`
  const applied = await cluster.kubectl(['apply', '-f', '-'], route)
  assert.match(applied.stderr, /Warning: .*nobody/)
  await until('the route is in force', async () => {
    return (await call('web', '/gone')).status === 500 ? true : undefined
  })
  assert.match(serverOf(await call('web', '/other')), /^web-stable-/)
})

test('a route that is wrong is refused, and told which field', async () => {
  const refused = await cluster.kubectl(['apply', '-f', '-'], retries.replace('value: "/"', 'value: "x"'))
  assert.is.not(refused.code, 0)
  assert.match(refused.stderr, /MESH_POLICY_INVALID.*spec\.rules\[0\]\.matches\[0\]/)
})

test.run()
