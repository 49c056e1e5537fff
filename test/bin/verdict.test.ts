import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countOf, type Finished, objectionTo } from '../../bin/verdict.ts'
import { root } from '../support/source-tree.ts'

const test = suite('bin/verdict')

// Below the checkout, so that `uvu` is found.
const folder = path.join(root, 'dist/test/verdict')
const head = "import { suite } from 'uvu'\nimport * as assert from 'uvu/assert'\nconst test = suite('x')\n"

// Not written out, or this file would be refused for them.
const only = 'only'
const skip = 'skip'

/** Runs a test file for real and judges it as `npm test` does. */
function judge(name: string, source: string): string | undefined {
  mkdirSync(folder, { recursive: true })
  const file = path.join(folder, `${name}.mjs`)
  writeFileSync(file, source)
  const ended = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, NO_COLOR: '1' },
  })
  const finished: Finished = {
    code: ended.status,
    output: ended.stdout + ended.stderr,
    durationMs: 0,
    timedOut: ended.status === null,
  }
  return objectionTo(finished, source)
}

test.after(() => rmSync(folder, { recursive: true, force: true }))

test('a file whose tests pass is green', () => {
  assert.is(judge('green', `${head}test('one', () => assert.ok(true))\ntest.run()\n`), undefined)
})

// What uvu reports as success, or as nothing.
const falseGreens: [string, string, RegExp][] = [
  ['no-run', `${head}test('one', () => assert.ok(true))\n`, /never calls/],
  ['no-test', `${head}test.run()\n`, /ran no test/],
  [
    'only',
    `${head}test('one', () => assert.ok(false))\ntest.${only}('two', () => assert.ok(true))\ntest.run()\n`,
    /only/,
  ],
  [
    'skip',
    `${head}test.${skip}('one', () => assert.ok(false))\ntest('two', () => assert.ok(true))\ntest.run()\n`,
    /skip/,
  ],
  [
    'before',
    `${head}test.before(() => { throw new Error('no') })\ntest('one', () => assert.ok(true))\ntest.run()\n`,
    /not all passed/,
  ],
  ['string', `${head}test('one', () => { throw 'no' })\ntest.run()\n`, /not all passed/],
  [
    'after',
    `${head}test.after(() => { throw new Error('no') })\ntest('one', () => assert.ok(true))\ntest.run()\n`,
    /./,
  ],
  ['red', `${head}test('one', () => assert.ok(false))\ntest.run()\n`, /not all passed/],
  ['exit', `${head}test('one', () => process.exit(0))\ntest.run()\n`, /ran no test/],
]
for (const [name, source, reason] of falseGreens) {
  test(`a file is not green: ${name}`, () => {
    assert.match(judge(name, source) ?? 'green', reason)
    assert.is.not(judge(name, source), undefined)
  })
}

test('a file that never ends is not green', () => {
  const output = '  Total:     1\n  Passed:    1\n  Skipped:   0\n'
  assert.match(
    objectionTo({ code: null, output, durationMs: 1, timedOut: true }, 'test.run()') ?? '',
    'deadline',
  )
})

test('counts are read from the closing lines', () => {
  const output = ' x  • • (2 / 2)\n\n  Total:     12\n  Passed:    11\n  Skipped:   1\n'
  assert.equal([countOf(output, 'Total'), countOf(output, 'Passed'), countOf(output, 'Skipped')], [12, 11, 1])
  assert.is(countOf('nothing', 'Total'), undefined)
})

test.run()
