import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planEndpointSlices } from '../../../src/runtime/local/controllers/endpoint-slice/reconcile.ts'
import type { Service } from '../../../src/runtime/local/objects.ts'
import { pod } from './objects.ts'

const test = suite('local/controllers/endpoint-slice')

function service(spec: Partial<Service['spec']> = {}): Service {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u', labels: { team: 'a' } },
    spec: { clusterIP: '10.96.0.9', selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }], ...spec },
  }
}

const deleted = { deletionTimestamp: '2026-01-15T00:00:00Z' }

test('tells for each pod whether it is ready, serves or ends', () => {
  const pods = [
    pod('a'),
    pod('b', { isReady: false, ip: '10.244.0.3' }),
    pod('c', { ip: '10.244.0.4' }, {}, deleted),
  ]
  const [slice] = planEndpointSlices(service(), pods)
  assert.equal(
    slice?.endpoints?.map(({ conditions }) => Object.values(conditions)),
    [
      [true, true, false],
      [false, false, false],
      [false, true, true],
    ],
  )
  assert.equal(slice?.endpoints?.[0]?.targetRef, {
    kind: 'Pod',
    name: 'a',
    namespace: 'default',
    uid: 'uid-a',
  })
  assert.is(slice?.endpoints?.[0]?.nodeName, 'mesh-local')
  assert.equal(slice?.ports, [{ name: 'http', port: 80, protocol: 'TCP' }])
  assert.is(slice?.metadata.labels?.['kubernetes.io/service-name'], 'web')
  assert.is(slice?.metadata.labels?.team, 'a')
})

test('leaves out pods that have ended or have no address', () => {
  const none = pod('none')
  delete none.status?.podIP
  const [slice] = planEndpointSlices(service(), [pod('a', { phase: 'Succeeded' }), none])
  assert.equal(slice?.endpoints, [])
})

test('calls every pod ready when the service publishes those that are not', () => {
  const [slice] = planEndpointSlices(service({ publishNotReadyAddresses: true }), [
    pod('a', { isReady: false }),
  ])
  assert.equal(slice?.endpoints?.[0]?.conditions, { ready: true, serving: false, terminating: false })
})

test('makes a slice for each set of port numbers behind a name, also of sidecars', () => {
  const named = (name: string, containerPort: number, ip: string) =>
    pod(name, { ip }, { containers: [{ name: 'c', ports: [{ name: 'web', containerPort }] }] })
  const sidecar = pod(
    'c',
    { ip: '10.244.0.4' },
    {
      initContainers: [{ name: 's', restartPolicy: 'Always', ports: [{ name: 'web', containerPort: 9090 }] }],
    },
  )
  const pods = [named('a', 8080, '10.244.0.2'), named('b', 9090, '10.244.0.3'), sidecar]
  const slices = planEndpointSlices(service({ ports: [{ name: 'http', port: 80, targetPort: 'web' }] }), pods)
  assert.equal(
    slices.map(({ metadata, ports, endpoints }) => [metadata.name, ports?.[0]?.port, endpoints?.length]),
    [
      ['web-0', 8080, 1],
      ['web-1', 9090, 2],
    ],
  )
})

test('names endpoints of a headless service by the hostnames of their pods', () => {
  const headless = service({ clusterIP: 'None' })
  const named = pod('a', {}, { hostname: 'first', subdomain: 'web' })
  const other = pod('b', { ip: '10.244.0.3' }, { hostname: 'second', subdomain: 'elsewhere' })
  const [slice] = planEndpointSlices(headless, [named, other])
  assert.equal(
    slice?.endpoints?.map(({ hostname }) => hostname),
    ['first', undefined],
  )
  assert.is(slice?.metadata.labels?.['service.kubernetes.io/headless'], '')
})

test.run()
