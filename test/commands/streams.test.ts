import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseManifest } from '../../src/runtime/actions/manifest-input.ts'
import { loadConfig } from '../../src/runtime/cli/main.ts'
import { meshVersion } from '../../src/runtime/shared/version.ts'
import { runMesh } from '../support/run-mesh.ts'

const test = suite('commands/streams')
const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'mesh-streams-'))

/** An API server that answers every request alike. */
let server: Server
let answer = { status: 200, body: '{}' }
let kubeconfig = ''

function writeKubeconfig(name: string, url: string): string {
  const file = path.join(folder, name)
  const cluster = { name: 'c', cluster: { server: url } }
  const context = { name: 'x', context: { cluster: 'c', user: 'u' } }
  const user = { name: 'u', user: { token: 't' } }
  writeFileSync(
    file,
    JSON.stringify({ clusters: [cluster], contexts: [context], users: [user], 'current-context': 'x' }),
  )
  return file
}

test.before(async () => {
  server = createServer((_, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  kubeconfig = writeKubeconfig('kubeconfig', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

test.after(() => {
  server.close()
  rmSync(folder, { recursive: true })
})

const status = (code: number, reason: string, message: string) => ({
  status: code,
  body: JSON.stringify({ kind: 'Status', code, reason, message }),
})

interface Refusal {
  args: string[]
  stdin?: string
  /** Exit code. */
  code: number
  error: string
  kubeconfig?: () => string
  answer?: typeof answer
}

const refusals: Record<string, Refusal> = {
  'an unknown command': { args: ['isntall'], code: 2, error: 'MESH_USAGE_UNKNOWN_COMMAND' },
  'an unknown subcommand': { args: ['viz', 'stats'], code: 2, error: 'MESH_USAGE_UNKNOWN_COMMAND' },
  'an unknown flag': { args: ['install', '--crd'], code: 2, error: 'MESH_USAGE_UNKNOWN_FLAG' },
  'an argument too many': { args: ['install', 'now'], code: 2, error: 'MESH_USAGE_UNEXPECTED_ARGUMENT' },
  'a format that is not there': { args: ['install', '-o', 'xml'], code: 2, error: 'MESH_USAGE' },
  'a number that is none': { args: ['install', '--controller-replicas', 'x'], code: 2, error: 'MESH_USAGE' },
  'a flag without its value': { args: ['install', '--set'], code: 2, error: 'MESH_USAGE' },
  'an unknown value': {
    args: ['install', '--ignore-cluster', '--set', 'proxi=1'],
    code: 2,
    error: 'MESH_VALUES_UNKNOWN_KEY',
  },
  'no kubeconfig': {
    args: ['install'],
    code: 2,
    error: 'MESH_KUBECONFIG_NOT_FOUND',
    kubeconfig: () => '/nonexistent',
  },
  'a cluster that is not there': {
    args: ['install'],
    code: 1,
    error: 'MESH_KUBE_UNREACHABLE',
    kubeconfig: () => writeKubeconfig('closed', 'http://127.0.0.1:1'),
  },
  'credentials that are not valid': {
    args: ['install'],
    code: 1,
    error: 'MESH_KUBE_UNAUTHORIZED',
    answer: status(401, 'Unauthorized', 'no'),
  },
  'a right that is missing': {
    args: ['install'],
    code: 1,
    error: 'MESH_KUBE_FORBIDDEN',
    answer: status(403, 'Forbidden', 'no'),
  },
  'an installation before its custom resources': {
    args: ['install'],
    code: 1,
    error: 'MESH_INSTALL_NO_CRDS',
    answer: { status: 200, body: JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] }) },
  },
  'inject without input': { args: ['inject'], code: 2, error: 'MESH_USAGE_MISSING_ARGUMENT' },
  'inject of a file that is not there': {
    args: ['inject', 'none.yaml'],
    code: 2,
    error: 'MESH_FILE_UNREADABLE',
  },
  'inject of text': { args: ['inject', '-'], stdin: 'hello', code: 2, error: 'MESH_MANIFEST_INVALID' },
  'inject over plain http': { args: ['inject', 'http://127.0.0.1:1/x'], code: 2, error: 'MESH_MANIFEST_URL' },
  'inject of ports that are none': {
    args: ['inject', '-', '--opaque-ports', '99999'],
    code: 2,
    error: 'MESH_USAGE_INVALID_VALUE',
  },
  'inject of what cannot be meshed': {
    args: ['inject', '-'],
    stdin: '{kind: Pod, metadata: {name: p}, spec: {hostNetwork: true}}',
    code: 1,
    error: 'MESH_INJECT_IMPOSSIBLE',
  },
  'uninject of broken YAML': {
    args: ['uninject', '-'],
    stdin: 'kind: [',
    code: 2,
    error: 'MESH_MANIFEST_INVALID',
  },
  'checks that exclude each other': {
    args: ['check', '--pre', '--proxy'],
    code: 2,
    error: 'MESH_USAGE_FLAGS',
  },
  'a duration that is none': {
    args: ['check', '--wait', 'soon'],
    code: 2,
    error: 'MESH_USAGE_INVALID_VALUE',
  },
  'apply without a file': { args: ['apply'], code: 2, error: 'MESH_USAGE_MISSING_ARGUMENT' },
  'apply of text': { args: ['apply', '-f', '-'], stdin: 'hello', code: 2, error: 'MESH_MANIFEST_INVALID' },
  'upgrade of nothing': {
    args: ['upgrade'],
    code: 1,
    error: 'MESH_UPGRADE_NOT_INSTALLED',
    answer: status(404, 'NotFound', 'not found'),
  },
  'upgrade from a manifest without an installation': {
    args: ['upgrade', '--from-manifests', '-'],
    stdin: '{kind: ConfigMap, metadata: {name: other}}',
    code: 1,
    error: 'MESH_UPGRADE_NOT_INSTALLED',
  },
  'prune of nothing': {
    args: ['prune'],
    code: 1,
    error: 'MESH_UPGRADE_NOT_INSTALLED',
    answer: status(404, 'NotFound', 'not found'),
  },
  'uninstall without the right to look': {
    args: ['uninstall'],
    code: 1,
    error: 'MESH_KUBE_FORBIDDEN',
    answer: status(403, 'Forbidden', 'no'),
  },
  'an unknown code': { args: ['explain', 'MESH_NONE'], code: 2, error: 'MESH_EXPLAIN_UNKNOWN_CODE' },
  'a shell that is none': { args: ['completion', 'tcsh'], code: 2, error: 'MESH_USAGE' },
  'authz of nothing': { args: ['authz'], code: 2, error: 'MESH_USAGE_MISSING_ARGUMENT' },
  'authz of what is not there': {
    args: ['authz', 'deploy/none'],
    code: 2,
    error: 'MESH_RESOURCE_NOT_FOUND',
    answer: status(404, 'NotFound', 'not found'),
  },
  'metrics of a type that is none': {
    args: ['diagnostics', 'proxy-metrics', 'thing/x'],
    code: 2,
    error: 'MESH_VIZ_RESOURCE',
  },
  'a horizon that is none': {
    args: ['identity', 'forecast', '--horizon', '-1'],
    code: 2,
    error: 'MESH_USAGE',
  },
  'version flags that exclude each other': {
    args: ['version', '--client', '--proxy'],
    code: 2,
    error: 'MESH_USAGE_FLAGS',
  },
}

for (const [what, refusal] of Object.entries(refusals)) {
  test(`${what}: nothing on standard output, a code on standard error`, async () => {
    answer = refusal.answer ?? { status: 200, body: '{}' }
    const run = await runMesh(refusal.args, {
      env: { KUBECONFIG: (refusal.kubeconfig ?? (() => kubeconfig))() },
      ...(refusal.stdin === undefined ? {} : { stdin: refusal.stdin }),
    })
    assert.is(run.stdout, '')
    assert.match(run.stderr, `[${refusal.error}]`)
    assert.match(run.stderr, /^error: /)
    assert.is(run.code, refusal.code)
    assert.not.match(run.stderr, '\u001b')
    assert.not.match(run.stderr, /\n {4}at /, 'a stack is shown')
  })
}

test('a mistyped command or flag names the nearest', async () => {
  assert.match((await runMesh(['isntall'])).stderr, /Did you mean: mesh install\?/)
  assert.match((await runMesh(['install', '--crd'])).stderr, /Did you mean --crds\?/)
})

test('with -o json errors are JSON too, on standard error', async () => {
  const run = await runMesh(['install', '-o', 'json', '--set', 'x', '--ignore-cluster'])
  assert.is(run.stdout, '')
  const { error } = JSON.parse(run.stderr) as { error: { code: string; kind: string } }
  assert.is(error.code, 'MESH_VALUES_SET')
  assert.is(error.kind, 'usage')
})

test('escapes from the cluster do not reach the terminal', async () => {
  answer = status(500, 'Boom', 'evil \u001b]0;title\u0007 \u009b31m')
  const run = await runMesh(['install'], { env: { KUBECONFIG: kubeconfig } })
  assert.match(run.stderr, /evil \\x1b\]0;title\\x07 \\x9b31m/)
  for (const control of ['\u001b', '\u0007', '\u009b']) assert.not.ok(run.stderr.includes(control))
})

test('install writes manifests and nothing else', async () => {
  const run = await runMesh(['install', '--ignore-cluster'])
  assert.is(run.stderr, '')
  assert.is(run.code, 0)
  const golden = readFileSync(path.join(root, 'test/templates/golden/control-plane.yaml'), 'utf8')
  assert.fixture(run.stdout, golden)
})

test('install -o json is one JSON document', async () => {
  const run = await runMesh(['install', '--crds', '--ignore-cluster', '-o', 'json'])
  assert.is((JSON.parse(run.stdout) as { kind: string }).kind, 'List')
})

test('inject writes manifests to standard output and its report to standard error', async () => {
  const run = await runMesh(['inject', '-'], { stdin: '{kind: Pod, metadata: {name: p}}' })
  assert.is(run.code, 0)
  assert.is(run.stderr, '\npod "p" injected\n\n')
  const documents = parseManifest(run.stdout, 'the output')
  assert.is(documents.length, 1)
})

test('a reader that goes away, such as head, is no error', async () => {
  const command = `"${process.execPath}" bin/run.js install --crds --ignore-cluster | head -n 1`
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) =>
    execFile('bash', ['-c', `set -o pipefail; ${command}`], { cwd: root }, (error, out, err) =>
      error === null ? resolve({ stdout: out, stderr: err }) : reject(error),
    ),
  )
  assert.is(stdout, '---\n')
  assert.is(stderr, '')
})

test('a check that fails is a result, not an error: standard output and exit code 1', async () => {
  const run = await runMesh(['check', '--wait', '0'], { env: { KUBECONFIG: '/nonexistent' } })
  assert.is(run.code, 1)
  assert.is(run.stderr, '')
  assert.match(run.stdout, /× can initialize the client/)
  assert.match(run.stdout, /Status check results are ×\n$/)
})

test('version answers without a cluster', async () => {
  assert.is((await runMesh(['--version'])).stdout, `mesh ${meshVersion}\n`)
  const client = await runMesh(['version', '--client', '--short'])
  assert.equal(client, { code: 0, stdout: `${meshVersion}\n`, stderr: '' })
})

test('help of every command is on standard output and says what it does', async () => {
  const config = await loadConfig({ packageRoot: root, from: 'src' })
  const commands = config.commands.filter(({ hidden }) => hidden !== true)
  for (const { id, summary } of commands) {
    const run = await runMesh([...id.split(':'), '--help'])
    assert.is(run.code, 0, id)
    assert.is(run.stderr, '', id)
    assert.ok(summary !== undefined && run.stdout.startsWith(summary), id)
  }
  const whole = await runMesh([])
  assert.is(whole.stdout, (await runMesh(['--help'])).stdout)
  for (const { id } of commands.filter((command) => !command.id.includes(':'))) {
    assert.match(whole.stdout, new RegExp(`^ +${id} `, 'm'))
  }
})

test('every command refuses what it does not know, with nothing on standard output', async () => {
  const config = await loadConfig({ packageRoot: root, from: 'src' })
  assert.ok(config.commands.length > 20)
  for (const { id } of config.commands) {
    const run = await runMesh([...id.split(':'), '--no-such-flag'])
    assert.is(run.code, 2, id)
    assert.is(run.stdout, '', id)
    assert.match(run.stderr, 'MESH_USAGE', id)
  }
})

test.run()
