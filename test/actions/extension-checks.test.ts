import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CheckResult } from '../../src/checks/types.ts'
import { checkExtensions, findProgram, readAnswer } from '../../src/runtime/actions/extension-checks.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'

const test = suite('actions/extension-checks')
const folder = mkdtempSync(path.join(tmpdir(), 'mesh-extensions-'))

test.after(() => rmSync(folder, { recursive: true }))

function program(name: string, script: string): void {
  const file = path.join(folder, name)
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
}

async function run(extension: string, searchPath = folder) {
  const kube = new FakeKube()
  kube.put(resources.namespaces, { metadata: { name: 'x', labels: { 'linkerd.io/extension': extension } } })
  const seen: CheckResult[] = []
  const { results, isHealthy } = await checkExtensions(
    {
      controlPlaneNamespace: 'linkerd',
      cliVersion: '1',
      waitMs: 0,
      proxy: true,
      connectionArgs: ['--context=here'],
    },
    {
      client: kube,
      clock: new FakeClock(),
      env: (name) => (name === 'PATH' ? searchPath : undefined),
      observer: { onResult: (result) => seen.push(result) },
    },
  )
  assert.equal(seen, results)
  return { results, isHealthy, lines: results.map(({ check, outcome }) => `${outcome} ${check.description}`) }
}

test('an extension without a program is a warning', async () => {
  const { lines, isHealthy } = await run('gone')
  assert.equal(lines, ['warning Linkerd extension command linkerd-gone exists'])
  assert.ok(isHealthy)
})

test('an extension is asked as Linkerd asks it, and its answer is taken over', async () => {
  program(
    'linkerd-fine',
    `echo "{\\"success\\":true,\\"categories\\":[{\\"categoryName\\":\\"fine\\",\\"checks\\":[{\\"description\\":\\"$*\\",\\"result\\":\\"success\\"},{\\"description\\":\\"b\\",\\"result\\":\\"error\\",\\"error\\":\\"why\\"}]}]}"; exit 1`,
  )
  const { results, lines, isHealthy } = await run('fine')
  assert.equal(lines, [
    'success check --context=here --linkerd-namespace=linkerd --proxy --wait=0s --output=json',
    'error b',
  ])
  assert.is(results[1]?.reason, 'why')
  assert.is(results[0]?.category, 'fine')
  assert.not.ok(isHealthy)
})

test('our name is preferred', () => {
  program('mesh-both', '')
  program('linkerd-both', '')
  const env = (name: string) => (name === 'PATH' ? `relative:${folder}` : undefined)
  assert.is(findProgram(['mesh-both', 'linkerd-both'], env), path.join(folder, 'mesh-both'))
  assert.is(findProgram(['mesh-none'], env), undefined)
})

test('a folder that is not absolute brings no programs', () => {
  assert.is(
    findProgram(['sh'], () => '.:bin'),
    undefined,
  )
})

test('a broken extension is a failed check, with what it said', async () => {
  program('linkerd-broken', 'echo oops >&2; exit 3')
  const { lines, results, isHealthy } = await run('broken')
  assert.equal(lines, ['error linkerd-broken answers its checks'])
  assert.match(results[0]?.reason ?? '', /oops/)
  assert.not.ok(isHealthy)
})

test('answers of any shape are read without failing', () => {
  for (const text of ['', 'null', '[]', '{}', '{"categories": 1}', '{"categories": [null]}']) {
    assert.is(readAnswer(text, '', 'c', '/bin/x')[0]?.outcome, 'error', text)
  }
  assert.equal(readAnswer('{"categories": []}', '', 'c', '/bin/x'), [])
})

test('a name that is no name runs nothing', async () => {
  const { lines } = await run('../sh')
  assert.match(lines[0] ?? '', /^warning/)
})

test('without extensions there is nothing to check', async () => {
  const kube = new FakeKube()
  const { results } = await checkExtensions(
    { controlPlaneNamespace: 'l', cliVersion: '1', waitMs: 0, proxy: false, connectionArgs: [] },
    { client: kube, clock: new FakeClock(), env: () => undefined },
  )
  assert.equal(results, [])
})

test.run()
