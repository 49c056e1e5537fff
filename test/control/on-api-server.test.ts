import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import type { FlagDefinition } from '../../src/runtime/control/flags.ts'
import * as bootstrap from '../../src/runtime/control/identity/bootstrap.ts'
import * as identity from '../../src/runtime/control/identity/main.ts'
import * as injector from '../../src/runtime/control/injector/main.ts'
import { applyObjects } from '../../src/runtime/kube/apply.ts'
import { connect, type KubeConnection } from '../../src/runtime/kube/client.ts'
import { startInformer } from '../../src/runtime/kube/informer.ts'
import { runAsLeader } from '../../src/runtime/kube/lease.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import { KubeError, type KubeObject } from '../../src/runtime/kube/types.ts'
import { createApiServer } from '../../src/runtime/local/apiserver/server.ts'
import type { ApiServer } from '../../src/runtime/local/apiserver/types.ts'
import { createClusterPki, renderKubeconfig } from '../../src/runtime/local/cluster-pki.ts'
import { createCsr } from '../../src/runtime/pki/csr.ts'
import { generateKey } from '../../src/runtime/pki/keys.ts'
import { Identity } from '../../src/runtime/proto/gen/io/linkerd/proxy/identity_pb.js'
import { systemClock } from '../../src/runtime/shared/clock.ts'
import { renderControlPlane } from '../../src/templates/control-plane.ts'
import { defaultValues } from '../../src/templates/values.ts'
import { controllerDeps } from '../support/controller-deps.ts'
import { until } from '../support/until.ts'

/** The controllers against an API server with authorization and admission, each with the rights that it is installed with. */
const test = suite('control/on-api-server')

let folder: string
let server: ApiServer
let url: string
let admin: KubeConnection
const pki = createClusterPki(Date.now())
const opened: { close: () => unknown }[] = []

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-control-'))
  server = await createApiServer({ tls: pki.server, clusterCa: pki.authority })
  const listening = await server.listenTls({ host: '127.0.0.1', port: 0 })
  url = `https://127.0.0.1:${listening.port}`
  admin = connectWith('admin', renderKubeconfig('test', url, pki))
  await applyObjects(
    admin,
    renderControlPlane(defaultValues).filter(({ kind }) => kind !== 'Deployment'),
    { clock: systemClock },
  )
})

test.after(async () => {
  for (const thing of opened.reverse()) await thing.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

function connectWith(name: string, kubeconfig: string): KubeConnection {
  const file = join(folder, name)
  writeFileSync(file, kubeconfig)
  const client = connect({ kubeconfig: file }, () => undefined)
  opened.push(client)
  return client
}

/** A connection as a controller has it: by the token of its service account. */
function connectAs(serviceAccount: string): KubeConnection {
  const { token } = server.issueServiceAccountToken({ namespace: 'linkerd', serviceAccount })
  const config = JSON.parse(renderKubeconfig('test', url, pki)) as { users: { user: object }[] }
  config.users = [{ name: 'test', user: { token } } as never]
  return connectWith(serviceAccount, stringify(config))
}

function start(serviceAccount: string, flags: Record<string, FlagDefinition> = {}, args: string[] = []) {
  const made = controllerDeps(connectAs(serviceAccount), flags, args)
  opened.push({ close: made.stop })
  return made
}

type Pod = KubeObject & { spec: { initContainers?: { name: string }[] } }

function podOf(name: string, annotations: Record<string, string> = {}): KubeObject {
  const spec = { containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 8080 }] }] }
  return { metadata: { name, namespace: 'shop', annotations }, spec } as KubeObject
}

test('bootstrap makes what is missing with the rights of linkerd-identity, ten at a time', async () => {
  const { deps } = start('linkerd-identity')
  await Promise.all(Array.from({ length: 10 }, () => bootstrap.run(deps)))
  const secrets = await admin.list<KubeObject>(resources.secrets, { namespace: 'linkerd' })
  assert.equal(secrets.items.map(({ metadata }) => metadata.name).toSorted(), [
    'linkerd-identity-issuer',
    'linkerd-identity-trust-anchor',
  ])
})

test('identity certifies by real tokens, and by no others', async () => {
  const { deps, readiness } = start('linkerd-identity', identity.flags, ['--listen-addr=127.0.0.1:0'])
  const running = await identity.startIdentity(deps)
  await until('identity is ready', () => readiness.missing().length === 0)
  await admin.create(resources.namespaces, {
    metadata: { name: 'shop', annotations: { 'linkerd.io/inject': 'enabled' } },
  })
  await until(
    'the account is there',
    async () => (await admin.read(resources.serviceAccounts, 'default', 'shop')) !== undefined,
  )
  const baseUrl = `http://127.0.0.1:${running.address.port}`
  const sessionManager = new Http2SessionManager(baseUrl)
  opened.push({ close: () => sessionManager.abort() })
  const client = createClient(Identity, createGrpcTransport({ baseUrl, sessionManager }))
  const name = 'default.shop.serviceaccount.identity.linkerd.cluster.local'
  const certify = async (audiences: string[], namespace = 'shop') => {
    const { token } = server.issueServiceAccountToken({ namespace, serviceAccount: 'default', audiences })
    try {
      const answer = await client.certify({
        identity: name,
        token: Buffer.from(token),
        certificateSigningRequest: createCsr(generateKey(), { dnsNames: [name] }),
      })
      return `${answer.leafCertificate.length > 300}`
    } catch (error) {
      return Code[ConnectError.from(error).code]
    }
  }
  assert.is(await certify(['identity.l5d.io']), 'true')
  assert.is(await certify([]), 'FailedPrecondition')
  assert.is(await certify(['other']), 'FailedPrecondition')
  assert.is(await certify(['identity.l5d.io'], 'linkerd'), 'FailedPrecondition')
})

test('the injector is called by the API server, trusted by the bundle that it wrote itself', async () => {
  const { deps, readiness } = start('linkerd-proxy-injector', injector.flags, ['--listen-addr=127.0.0.1:0'])
  const running = await injector.startInjector(deps)
  await until('the injector is ready', () => readiness.missing().length === 0)
  await admin.create(resources.endpointSlices, {
    metadata: {
      name: 'linkerd-proxy-injector',
      namespace: 'linkerd',
      labels: { 'kubernetes.io/service-name': 'linkerd-proxy-injector' },
    },
    addressType: 'IPv4',
    ports: [{ name: 'proxy-injector', port: 8443, protocol: 'TCP' }],
    endpoints: [{ addresses: ['10.244.0.9'], conditions: { ready: true } }],
  } as KubeObject)
  const never = () => Promise.reject(new Error('not in this test'))
  server.setNodeHooks({
    podLogs: () => {
      throw new Error('not in this test')
    },
    podExec: never,
    podPortForward: never,
    dialPod: async () => dial(running.address.port, '127.0.0.1'),
  })
  await until('a pod is injected', async () => {
    const pod = await admin.create<Pod>(resources.pods, podOf('probe') as Pod, { dryRun: true })
    return pod.spec.initContainers?.length === 2
  })
  const pod = await admin.create<Pod>(resources.pods, podOf('web') as Pod)
  assert.equal(
    pod.spec.initContainers?.map(({ name }) => name),
    ['linkerd-init', 'linkerd-proxy'],
  )
  assert.is(pod.metadata.labels?.['linkerd.io/control-plane-ns'], 'linkerd')
  const out = await admin.create<Pod>(
    resources.pods,
    podOf('out', { 'linkerd.io/inject': 'disabled' }) as Pod,
  )
  assert.is(out.spec.initContainers, undefined)
})

test('a pod with an annotation that cannot be followed is refused with its reason', async () => {
  const wrong = podOf('wrong', { 'config.linkerd.io/proxy-cpu-limit': 'much' })
  const error = await admin.create(resources.pods, wrong).catch((thrown: unknown) => thrown)
  assert.instance(error, KubeError)
  assert.match((error as KubeError).message, 'proxy-cpu-limit: "much" cannot be used')
})

test('informers follow the server, and leases are won against it', async () => {
  const stopping = new AbortController()
  opened.push({ close: () => stopping.abort(new Error('the test ended')) })
  const options = { namespace: 'shop', clock: systemClock, signal: stopping.signal }
  const informer = startInformer<Pod>(admin, resources.pods, options)
  await informer.synced
  assert.ok(informer.get('shop', 'web'))
  await admin.remove(resources.pods, 'web', 'shop')
  await admin.create(resources.pods, podOf('later'))
  await until('the changes arrive', () => {
    const web = informer.get('shop', 'web')
    return (
      informer.get('shop', 'later') !== undefined &&
      (web === undefined || web.metadata.deletionTimestamp !== undefined)
    )
  })
  let leader = ''
  const electing = ['a', 'b'].map((name) =>
    runAsLeader(
      {
        client: connectAs('linkerd-identity'),
        ...options,
        namespace: 'linkerd',
        name: 'test',
        identity: name,
      },
      (signal) => {
        leader += name
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      },
    ),
  )
  await until('one leads', () => leader.length === 1)
  stopping.abort(new Error('enough'))
  await Promise.all(electing)
})

test.run()
