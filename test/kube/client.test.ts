import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import { type ConnectOptions, connect, type KubeConnection } from '../../src/runtime/kube/client.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import { KubeError, type KubeObject, type WatchEvent } from '../../src/runtime/kube/types.ts'
import { createTrustAnchor } from '../../src/runtime/pki/authority.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import {
  clientCertificate,
  type Handler,
  json,
  startApiServer,
  status,
  type TestApiServer,
} from './api-server.ts'

const test = suite('kube/client')
const pod = { metadata: { name: 'web', namespace: 'shop' } }

let folder: string
let server: TestApiServer
let handler: Handler
let clients: KubeConnection[]

test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-client-'))
  handler = (_request, response) => json(response, 200, pod)
  server = await startApiServer((request, response) => handler(request, response))
  clients = []
})
test.after.each(async () => {
  for (const client of clients) client.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

interface Parts {
  cluster?: Record<string, unknown>
  user?: Record<string, unknown>
  options?: ConnectOptions
}

function client({ cluster = {}, user = {}, options = {} }: Parts = {}): KubeConnection {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const file = join(folder, 'config')
  const ca = base64(server.authority.certificate.toPem())
  const config = {
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'shop' } }],
    clusters: [
      { name: 'test', cluster: { server: server.url, 'certificate-authority-data': ca, ...cluster } },
    ],
    users: [{ name: 'test', user }],
  }
  writeFileSync(file, stringify(config))
  const made = connect({ kubeconfig: file, ...options }, () => undefined)
  clients.push(made)
  return made
}

async function errorOf(promise: Promise<unknown>): Promise<MeshError & KubeError> {
  try {
    await promise
  } catch (error) {
    return error as MeshError & KubeError
  }
  throw new Error('nothing was thrown')
}

test('verifies the server by the authority of the kubeconfig', async () => {
  assert.equal(await client().read(resources.pods, 'web'), pod)
})

test('refuses a server that another authority vouches for, before anything is sent', async () => {
  let calls = 0
  handler = () => {
    calls += 1
  }
  const other = createTrustAnchor('other', { notBeforeMs: 0, notAfterMs: 1e13 }).certificate.toPem()
  const cluster = { 'certificate-authority-data': Buffer.from(other).toString('base64') }
  const error = await errorOf(client({ cluster, user: { token: 'secret' } }).read(resources.pods, 'web'))
  assert.is(error.code, 'MESH_KUBE_UNTRUSTED')
  assert.is(calls, 0)
})

test('refuses a server by another name, unless tls-server-name says so', async () => {
  const elsewhere = { server: server.url.replace('127.0.0.1', 'localhost') }
  const error = await errorOf(client({ cluster: elsewhere }).read(resources.pods, 'web'))
  assert.is(error.code, 'MESH_KUBE_UNTRUSTED')
  const named = client({ cluster: { ...elsewhere, 'tls-server-name': '127.0.0.1' } })
  assert.equal(await named.read(resources.pods, 'web'), pod)
})

test('does not verify only when the kubeconfig says so itself', async () => {
  const cluster = { 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true }
  assert.equal(await client({ cluster }).read(resources.pods, 'web'), pod)
})

test('nobody listening is MESH_KUBE_UNREACHABLE', async () => {
  const made = client()
  await server.close()
  const error = await errorOf(made.read(resources.pods, 'web'))
  assert.is(error.code, 'MESH_KUBE_UNREACHABLE')
  assert.match(error.reason ?? '', 'ECONNREFUSED')
})

test('a server that stays silent is given up', async () => {
  handler = () => {}
  const error = await errorOf(client({ options: { idleTimeoutMs: 50 } }).read(resources.pods, 'web'))
  assert.is(error.code, 'MESH_KUBE_UNREACHABLE')
  assert.match(error.reason ?? '', 'no answer for 0.05 s')
})

test('something that answers with a page is not the API', async () => {
  handler = (_request, response) => response.end('<html>')
  assert.match(
    (await errorOf(client().read(resources.pods, 'web'))).message,
    'does not answer as a Kubernetes API',
  )
})

test('errors of the API carry status, reason and message; what is missing is undefined', async () => {
  handler = (_request, response) => json(response, 403, status(403, 'Forbidden', 'no'))
  const error = await errorOf(client().list(resources.pods))
  assert.instance(error, KubeError)
  assert.equal([error.status, error.reason, error.message], [403, 'Forbidden', 'no'])
  handler = (_request, response) => {
    response.statusCode = 503
    response.end('upstream\n')
  }
  assert.match((await errorOf(client().read(resources.pods, 'web'))).message, 'HTTP 503: upstream')
  handler = (_request, response) => json(response, 404, status(404, 'NotFound', 'gone'))
  assert.is(await client().read(resources.pods, 'web'), undefined)
  assert.is(await client().remove(resources.pods, 'web'), false)
})

test('each verb has its method, path, query and content type', async () => {
  const seen: string[] = []
  handler = (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['content-type'] ?? '-'} ${request.body}`)
    json(response, 200, pod)
  }
  const made = client()
  const object = { metadata: { name: 'a' } }
  await made.create(resources.configMaps, object, { dryRun: true, fieldManager: 'me' })
  await made.replace(resources.configMaps, { metadata: { name: 'a', namespace: 'x' } })
  await made.mergePatch(resources.nodes, 'n 1', { a: null }, { subresource: 'status' })
  await made.apply(resources.leases, object, { fieldManager: 'me', force: true })
  await made.remove(resources.pods, 'a', 'x')
  const typed = (namespace: string) =>
    `{"metadata":{"name":"a"${namespace}},"apiVersion":"v1","kind":"ConfigMap"}`
  assert.equal(seen, [
    `POST /api/v1/namespaces/shop/configmaps?fieldManager=me&dryRun=All application/json ${typed('')}`,
    `PUT /api/v1/namespaces/x/configmaps/a application/json ${typed(',"namespace":"x"')}`,
    'PATCH /api/v1/nodes/n%201/status application/merge-patch+json {"a":null}',
    'PATCH /apis/coordination.k8s.io/v1/namespaces/shop/leases/a?fieldManager=me&force=true application/apply-patch+yaml {"metadata":{"name":"a"},"apiVersion":"coordination.k8s.io/v1","kind":"Lease"}',
    'DELETE /api/v1/namespaces/x/pods/a - ',
  ])
})

test('a list is read page by page, items know their kind, and a lost snapshot is read again at once', async () => {
  const queries: string[] = []
  let isCompacted = false
  handler = (request, response) => {
    const query = new URL(request.url ?? '', server.url).searchParams
    queries.push(query.toString())
    if (query.get('continue') === 'next') {
      if (isCompacted) return json(response, 410, status(410, 'Expired', 'old'))
      return json(response, 200, { metadata: { resourceVersion: '7' }, items: [{ metadata: { name: 'b' } }] })
    }
    const more = query.has('limit') ? { continue: 'next' } : {}
    json(response, 200, { metadata: { resourceVersion: '7', ...more }, items: [{ metadata: { name: 'a' } }] })
  }
  const made = client()
  const listed = await made.list(resources.replicaSets, { labelSelector: 'a=b,c' })
  assert.equal(
    listed.items.map(({ kind, apiVersion, metadata }) => [kind, apiVersion, metadata.name]),
    [
      ['ReplicaSet', 'apps/v1', 'a'],
      ['ReplicaSet', 'apps/v1', 'b'],
    ],
  )
  assert.is(listed.resourceVersion, '7')
  assert.is(queries[0], 'labelSelector=a%3Db%2Cc&limit=500')
  isCompacted = true
  assert.is((await made.list(resources.pods)).items.length, 1)
})

test('a watch yields events as they come, however they are cut', async () => {
  const lines = ['ADDED', 'MODIFIED', 'BOOKMARK'].map((type, index) =>
    JSON.stringify({ type, object: { metadata: { name: 'ä', resourceVersion: String(index) } } }),
  )
  const bytes = Buffer.from(`${lines.join('\n')}\n`)
  let url = ''
  handler = (request, response) => {
    url = request.url ?? ''
    response.writeHead(200)
    const send = (from: number): void => {
      if (from >= bytes.length) return void response.end()
      response.write(bytes.subarray(from, from + 7), () => send(from + 7))
    }
    send(0)
  }
  const signal = new AbortController().signal
  const seen: WatchEvent<KubeObject>[] = []
  for await (const event of client().watch(resources.pods, { resourceVersion: '5', signal })) seen.push(event)
  assert.equal(
    seen.map((event) => [event.type, event.object.metadata.resourceVersion]),
    [
      ['ADDED', '0'],
      ['MODIFIED', '1'],
      ['BOOKMARK', '2'],
    ],
  )
  assert.ok(seen[0]?.type === 'ADDED' && seen[0].object.metadata.name === 'ä')
  assert.match(
    url,
    /^\/api\/v1\/pods\?watch=1&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=\d+$/,
  )
})

test('a watch ends with the error that the server sends, quietly on abort, and with an error when the line breaks', async () => {
  const follow = async (abort?: AbortController) => {
    const signal = abort?.signal ?? new AbortController().signal
    for await (const _ of client().watch(resources.pods, { resourceVersion: '5', signal }))
      abort?.abort(new Error('enough'))
    return 'ended'
  }
  handler = (_request, response) =>
    response.end(JSON.stringify({ type: 'ERROR', object: status(410, 'Expired', 'too old') }))
  assert.is((await errorOf(follow())).status, 410)
  handler = (_request, response) => json(response, 410, status(410, 'Expired', 'too old'))
  assert.is((await errorOf(follow())).status, 410)
  const event = `${JSON.stringify({ type: 'ADDED', object: pod })}\n`
  handler = (_request, response) => response.write(event)
  assert.is(await follow(new AbortController()), 'ended')
  handler = (request, response) => response.write(event, () => request.socket.destroy())
  assert.is((await errorOf(follow())).code, 'MESH_KUBE_UNREACHABLE')
})

test('connections are kept', async () => {
  const made = client()
  for (let count = 0; count < 5; count++) await made.read(resources.pods, 'web')
  assert.is(server.connectionCount(), 1)
})

test('an aborted call rejects with the reason of its signal', async () => {
  handler = () => {}
  const stopping = new AbortController()
  const call = client().raw({ method: 'GET', path: '/', signal: stopping.signal })
  const reason = new Error('stop')
  stopping.abort(reason)
  assert.is(await errorOf(call), reason)
})

test('raw answers with any status, stream with a body that goes on', async () => {
  handler = (_request, response) => {
    response.writeHead(500, { 'x-test': 'yes' })
    response.end('broken')
  }
  const answer = await client().raw({ method: 'POST', path: '/x', body: 'y' })
  assert.equal([answer.status, answer.headers['x-test'], answer.body], [500, 'yes', 'broken'])
  handler = (_request, response) => response.write('line 1\n')
  const stopping = new AbortController()
  const stream = await client().stream({ method: 'GET', path: '/log', signal: stopping.signal })
  const chunks: string[] = []
  try {
    for await (const chunk of stream.body) {
      chunks.push(Buffer.from(chunk).toString())
      stopping.abort(new Error('enough'))
    }
  } catch {
    // An aborted body ends with an error.
  }
  assert.equal(chunks, ['line 1\n'])
})

test('a client certificate, a token, a password: each proves the caller', async () => {
  let said: unknown
  handler = (request, response) => {
    const certificate = (request.socket as TLSSocket).getPeerCertificate()
    said = [certificate.subject?.CN, request.headers.authorization]
    json(response, 200, pod)
  }
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const { cert, key } = clientCertificate(server.authority, 'alice')
  const user = { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) }
  await client({ user }).read(resources.pods, 'web')
  assert.equal(said, ['alice', undefined])
  await client({ user: { token: 't' } }).read(resources.pods, 'web')
  assert.equal(said, [undefined, 'Bearer t'])
  await client({ user: { username: 'u', password: 'p' } }).read(resources.pods, 'web')
  assert.equal(said, [undefined, `Basic ${base64('u:p')}`])
})

test('a token in a file is read again when the server refuses it', async () => {
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, 'old\n')
  const said: unknown[] = []
  handler = (request, response) => {
    said.push(request.headers.authorization)
    if (request.headers.authorization === 'Bearer new') json(response, 200, pod)
    else json(response, 401, status(401, 'Unauthorized', 'who?'))
  }
  const made = client({ user: { tokenFile } })
  assert.is((await errorOf(made.read(resources.pods, 'web'))).status, 401)
  writeFileSync(tokenFile, 'new\n')
  assert.equal(await made.read(resources.pods, 'web'), pod)
  assert.equal(said, ['Bearer old', 'Bearer old', 'Bearer old', 'Bearer new'])
})

test('a credential plugin is run once, told of the cluster, and run again after a refusal', async () => {
  const plugin = join(folder, 'plugin')
  const log = join(folder, 'log')
  writeFileSync(
    plugin,
    `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO $GREETING $1" >> ${log}
echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t'$(wc -l < ${log} | tr -d ' ')'"}}'
`,
  )
  chmodSync(plugin, 0o755)
  const said: unknown[] = []
  handler = (request, response) => {
    said.push(request.headers.authorization)
    if (said.length === 3) json(response, 401, status(401, 'Unauthorized', 'expired'))
    else json(response, 200, pod)
  }
  const env = [{ name: 'GREETING', value: 'hello' }]
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: './plugin',
    args: ['world'],
    env,
    provideClusterInfo: true,
  }
  const made = client({ user: { exec } })
  for (let count = 0; count < 3; count++) await made.read(resources.pods, 'web')
  assert.equal(said, ['Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t2'])
  const { readFileSync } = await import('node:fs')
  const [line = ''] = readFileSync(log, 'utf8').split('\n')
  assert.match(line, 'hello world')
  assert.match(line, `"server":"${server.url}"`)
})

test('a credential plugin that is missing or fails says how to mend it', async () => {
  const made = (exec: object) => client({ user: { exec } })
  const missing = await errorOf(
    made({ command: 'no-such-plugin', installHint: 'Install it.' }).read(resources.pods, 'a'),
  )
  assert.is(missing.code, 'MESH_KUBE_CREDENTIALS')
  assert.equal(missing.next, ['Install it.'])
  const failing = await errorOf(
    made({ command: 'sh', args: ['-c', 'echo broken >&2; exit 3'] }).read(resources.pods, 'a'),
  )
  assert.match(failing.reason ?? '', 'broken')
})

test('impersonation is sent, and a group alone refused', async () => {
  let said: unknown
  handler = (request, response) => {
    said = [request.headers['impersonate-user'], request.headers['impersonate-group']]
    json(response, 200, pod)
  }
  await client({ options: { as: 'bob', asGroup: ['a', 'b'] } }).read(resources.pods, 'web')
  assert.equal(said, ['bob', 'a, b'])
  assert.throws(
    () => client({ options: { asGroup: 'a' } }),
    (error: unknown) => error instanceof MeshError && error.code === 'MESH_KUBECONFIG_INVALID',
  )
})

test.run()
