import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ContextOptions, loadContext } from '../../src/runtime/kube/kubeconfig.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'

const test = suite('kube/kubeconfig')
let home: string

test.before.each(() => {
  home = mkdtempSync(join(tmpdir(), 'mesh-kube-'))
  mkdirSync(join(home, '.kube'))
})
test.after.each(() => rmSync(home, { recursive: true }))

const first = `
current-context: one
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: shop}
- name: broken
  context: {cluster: nowhere, user: u1}
- name: nobody
  context: {cluster: c1, user: nobody}
clusters:
- name: c1
  cluster: {server: "https://one:6443/", certificate-authority: ca.crt, tls-server-name: kube}
users:
- name: u1
  user: {client-certificate: me.crt, client-key: /abs/me.key, as: boss, as-groups: [g]}
`
const second = `
current-context: two
contexts:
- name: two
  context: {cluster: c2, user: u1}
clusters:
- name: c1
  cluster: {server: "https://shadowed"}
- name: c2
  cluster: {server: "http://two"}
users: null
`

function write(name: string, text: string): string {
  const path = join(home, name)
  writeFileSync(path, text)
  return path
}

function load(options: ContextOptions = {}, env: Record<string, string> = {}) {
  return loadContext({ serviceAccountDir: join(home, 'sa'), ...options }, (name) =>
    name === 'HOME' ? home : env[name],
  )
}

function errorOf(action: () => unknown): MeshError {
  try {
    action()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

test('reads ~/.kube/config, with paths relative to it', () => {
  write('.kube/config', first)
  const context = load()
  assert.is(context.name, 'one')
  assert.is(context.namespace, 'shop')
  assert.is(context.cluster.server, 'https://one:6443')
  assert.is(context.cluster.certificateAuthority, join(home, '.kube', 'ca.crt'))
  assert.is(context.cluster.tlsServerName, 'kube')
  assert.is(context.user.clientCertificate, join(home, '.kube', 'me.crt'))
  assert.is(context.user.clientKey, '/abs/me.key')
  assert.equal([context.user.impersonate, context.user.impersonateGroups], ['boss', ['g']])
})

test('merges the files of $KUBECONFIG: the first to name a thing wins, missing files are passed over', () => {
  const list = [join(home, 'missing'), write('a', first), write('b', second)].join(':')
  assert.is(load({}, { KUBECONFIG: list }).name, 'one')
  const two = load({ context: 'two' }, { KUBECONFIG: list })
  assert.is(two.cluster.server, 'http://two')
  assert.is(two.user.impersonate, 'boss')
  assert.is(two.namespace, 'default')
  assert.is(load({ context: 'one' }, { KUBECONFIG: list }).cluster.server, 'https://one:6443')
})

test('--kubeconfig names the only file', () => {
  const file = write('b', second)
  const list = write('a', first)
  assert.is(
    errorOf(() => load({ kubeconfig: file, context: 'one' }, { KUBECONFIG: list })).code,
    'MESH_KUBECONFIG_CONTEXT',
  )
})

test('what is missing is told with what there is', () => {
  const kubeconfig = write('a', first)
  const reason = (context: string) => errorOf(() => load({ kubeconfig, context }))
  assert.match(reason('two').message, 'no context two')
  assert.match(reason('two').reason ?? '', 'the contexts one, broken, nobody')
  assert.match(reason('broken').message, 'names the cluster "nowhere"')
  assert.match(reason('nobody').message, 'names the user "nobody"')
  assert.match(errorOf(() => load({ kubeconfig: write('e', 'contexts: []') })).message, 'no current context')
  const nothing = errorOf(() => load())
  assert.is(nothing.code, 'MESH_KUBECONFIG_NOT_FOUND')
  assert.match(nothing.message, join(home, '.kube', 'config'))
})

test('what is wrong is told by its place', () => {
  const invalid = (text: string) => {
    const error = errorOf(() => load({ kubeconfig: write('x', text) }))
    assert.is(error.code, 'MESH_KUBECONFIG_INVALID', error.message)
    return error.message
  }
  assert.match(invalid('{'), 'Cannot read kubeconfig')
  assert.match(invalid('text'), 'not a YAML mapping')
  assert.match(invalid('contexts: {}'), 'contexts of kubeconfig')
  assert.match(invalid(first.replace('https://one:6443/', 'one:6443')), 'not an http or https URL')
  assert.match(
    invalid(first.replace('tls-server-name: kube', 'insecure-skip-tls-verify: true')),
    'also insecure',
  )
  assert.match(invalid(first.replace(/user: {client.*/, 'user: {exec: {args: []}}')), 'without a command')
})

test('whatever a kubeconfig says, it loads or throws a MeshError', () => {
  const path = join(home, 'any')
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      writeFileSync(path, text)
      assert.is(typeof errorOf(() => load({ kubeconfig: path })).code, 'string')
    }),
    { numRuns: 300 },
  )
})

test('in a pod without a kubeconfig the service account is used', () => {
  mkdirSync(join(home, 'sa'))
  write('sa/token', 'secret')
  write('sa/namespace', 'linkerd\n')
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }
  const context = load({}, env)
  assert.is(context.name, 'in-cluster')
  assert.is(context.cluster.server, 'https://[fd00::1]:6443')
  assert.is(context.namespace, 'linkerd')
  assert.is(context.user.tokenFile, join(home, 'sa', 'token'))
  assert.is(context.cluster.insecureSkipTlsVerify, false)
  write('.kube/config', first)
  assert.is(load({}, env).name, 'one')
  assert.is(load({ inCluster: true }, env).name, 'in-cluster')
  assert.is(errorOf(() => load({ inCluster: true }, {})).code, 'MESH_KUBECONFIG_NOT_FOUND')
})

test.run()
