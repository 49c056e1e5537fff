import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { asksForJson } from '../../src/runtime/cli/base-command.ts'
import { renderError, renderErrorJson, toMeshError } from '../../src/runtime/cli/errors.ts'
import { connectionFrom } from '../../src/runtime/cli/flags.ts'
import {
  type Column,
  Output,
  printable,
  renderJson,
  renderTable,
  renderYaml,
} from '../../src/runtime/cli/output.ts'
import { KubeError } from '../../src/runtime/kube/types.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { nearest } from '../../src/runtime/shared/nearest.ts'

const test = suite('cli/output')

interface Row {
  name: string
  rps: number
}

const columns: Column<Row>[] = [
  { header: 'NAME', value: ({ name }) => name, align: 'left' },
  { header: 'RPS', value: ({ rps }) => rps },
  { header: 'MORE', value: () => 'x', wide: true },
]
const rows: Row[] = [
  { name: 'web', rps: 1.5 },
  { name: 'catalog', rps: 120 },
]

test('tables are aligned by column, three spaces apart, without blanks at the end of a line', () => {
  assert.is(renderTable(columns, rows), 'NAME      RPS\nweb       1.5\ncatalog   120\n')
  assert.is(renderTable(columns, rows, { wide: true }).split('\n')[0], 'NAME      RPS   MORE')
  assert.is(renderTable(columns, []), 'NAME   RPS\n')
  assert.is(renderTable([{ header: 'A', value: () => '' }], [1], { align: 'left' }), 'A\n\n')
})

test('a cell cannot break its line nor drive the terminal', () => {
  const table = renderTable(columns, [{ name: 'a\nb\t\u001b[2Jc\u202e', rps: 0 }])
  assert.is(table.split('\n').length, 3)
  assert.match(table, 'a b \\x1b[2Jc\\u202e')
})

test('control characters are shown, text of any language is left alone', () => {
  assert.is(printable('\u0000\u0007\u001b\u007f\u009b\u2066'), '\\x00\\x07\\x1b\\x7f\\x9b\\u2066')
  assert.is(printable('héllo 世界 🎉\n\ttab'), 'héllo 世界 🎉\n\ttab')
})

test('JSON and YAML hold the same data, and no character that drives a terminal', () => {
  const value = { a: 'x\u001b\u009b', b: [1, null, 'yes'] }
  assert.not.match(renderJson(value), '\u009b')
  assert.equal(JSON.parse(renderJson(value)), value)
  assert.not.match(renderYaml(value), '\u001b')
  assert.equal(parse(renderYaml(value)), value)
})

function capture() {
  const written = { out: '', err: '' }
  const output = new Output(
    {
      write: (text: string) => {
        written.out += text
      },
    },
    {
      write: (text: string) => {
        written.err += text
      },
    },
    false,
  )
  return { written, output }
}

test('data goes to standard output and notes to standard error', () => {
  const { written, output } = capture()
  output.data('data')
  output.note('note')
  assert.equal(written, { out: 'data', err: 'note\n' })
  assert.is(output.colour, false)
})

test('rows are shown in the format asked for', () => {
  const shown = (format: 'table' | 'wide' | 'json' | 'yaml') => {
    const { written, output } = capture()
    output.rows(format, columns, rows, { value: { rows } })
    return written.out
  }
  assert.match(shown('table'), /^NAME/)
  assert.match(shown('wide'), /MORE/)
  assert.equal(JSON.parse(shown('json')), { rows })
  assert.equal(parse(shown('yaml')), { rows })
})

test('colour needs a terminal, and that nothing forbids it', () => {
  const stream = (isTTY: boolean) => ({ write: () => undefined, isTTY })
  assert.ok(new Output(stream(true), stream(true), false).colour)
  assert.not.ok(new Output(stream(true), stream(true), true).colour)
  assert.not.ok(new Output(stream(false), stream(true), false).colour)
})

const context = { command: 'mesh x', flagNames: ['namespace', 'output'] }

test('an error says what, why, what next and its code', () => {
  const error = new MeshError({
    code: 'MESH_X',
    kind: 'usage',
    message: 'it broke\u001b[31m',
    reason: 'because',
    next: ['do this'],
  })
  assert.is(
    renderError(error, { colour: false }),
    'error: it broke\\x1b[31m [MESH_X]\n  why:  because\n  next: do this\n',
  )
  assert.equal(JSON.parse(renderErrorJson(error)), {
    error: {
      code: 'MESH_X',
      kind: 'usage',
      message: 'it broke\u001b[31m',
      reason: 'because',
      next: ['do this'],
    },
  })
})

test('what is not ours is a defect, and shows its stack only when asked', () => {
  const error = toMeshError(new TypeError('x is not a function'), context)
  assert.is(error.code, 'MESH_BUG')
  assert.is(error.kind, 'bug')
  assert.not.match(renderError(error, { colour: false }), /\n {4}at /)
  assert.match(renderError(error, { colour: false, stack: true }), /\n {4}at /)
  assert.is(toMeshError('text', context).code, 'MESH_BUG')
})

test('answers of the API server are told apart', () => {
  const codeOf = (status: number) => toMeshError(new KubeError(status, 'R', 'm'), context).code
  assert.equal([401, 403, 500].map(codeOf), [
    'MESH_KUBE_UNAUTHORIZED',
    'MESH_KUBE_FORBIDDEN',
    'MESH_KUBE_REQUEST',
  ])
})

test('asking for JSON is seen in every way to write it', () => {
  for (const argv of [['-o', 'json'], ['-ojson'], ['-o=json'], ['--output', 'json'], ['--output=json']]) {
    assert.ok(asksForJson(argv), argv.join(' '))
  }
  for (const argv of [[], ['-o'], ['-o', 'yaml'], ['json']]) assert.not.ok(asksForJson(argv), argv.join(' '))
})

test('the nearest name is near', () => {
  assert.is(nearest('isntall', ['install', 'inject', 'uninstall']), 'install')
  assert.is(nearest('xyz', ['install', 'inject']), undefined)
  assert.is(nearest('INSTALL', ['install']), 'install')
  assert.is(nearest('a', []), undefined)
})

test('connection flags that are not given are left out', () => {
  assert.equal(connectionFrom({}), {})
  assert.equal(
    connectionFrom({ as: 'me', 'as-group': ['a'], namespace: 'n', context: 'c', kubeconfig: 'k' }),
    {
      as: 'me',
      asGroup: ['a'],
      namespace: 'n',
      context: 'c',
      kubeconfig: 'k',
    },
  )
})

test.run()
