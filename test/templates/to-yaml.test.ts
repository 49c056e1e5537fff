import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { yamlStream, yamlText } from '../../src/templates/to-yaml.ts'

const test = suite('templates/to-yaml')

/** Read as kubectl reads it, and as everybody else does. */
function readsBack(value: object): void {
  const text = yamlText(value)
  for (const version of ['1.1', '1.2'] as const)
    assert.equal(parse(text, { version }), value, `${version}: ${text}`)
}

test('texts that look like something else stay texts', () => {
  const texts = [
    '',
    ' ',
    'yes',
    'No',
    'ON',
    'y',
    'N',
    '~',
    'null',
    'true',
    '1',
    '-1',
    '0x1f',
    '0o7',
    '1e3',
    '1_000',
    '.5',
    '12:30',
    '12:30:45',
    '2026-01-01',
    '- a',
    '-',
    '--',
    '--flag=x',
    '? a',
    'a: b',
    'a:',
    ':a',
    'a #b',
    '#a',
    '&a',
    '*a',
    '!a',
    '|',
    '>',
    '%a',
    '@a',
    '`a`',
    '{a}',
    '[a]',
    'a\nb',
    'a\n',
    '\na',
    'a\n\n',
    ' a\n',
    'a\n b\n',
    'a\n\nb\n',
    'a\tb',
    '\t',
    'a ',
    '"a"',
    "'a'",
    'é',
    '\u2028',
    '\u0085',
    '\u0000',
    '\u001b[31m',
    '<<',
    '=',
    'a=b',
    '.inf',
    '.NaN',
    '\\',
    '---',
    '...',
    '--- a\n',
    'a, b',
    '$(x)',
    '(a) b',
    "a 'b'",
    'a?',
    '#a\nb\n',
    'a\r\nb\n',
  ]
  for (const text of texts) {
    readsBack({ key: text })
    readsBack([text])
    if (text !== '<<') readsBack({ [text]: 1 })
  }
})

test('numbers, booleans, nothing and empty collections', () => {
  readsBack({
    a: 1,
    b: -1.5,
    c: true,
    d: false,
    e: null,
    f: [],
    g: {},
    h: [[], {}, [[1]]],
    i: [{ a: { b: [] } }],
  })
  readsBack([])
  readsBack({})
  assert.is(yamlText({ a: undefined, b: 1 }), 'b: 1\n')
})

test('the layout is that of manifests', () => {
  assert.is(
    yamlText({
      kind: 'Pod',
      args: ['--x=1', '4190,4191'],
      list: [{ name: 'a', value: '1' }, ['b']],
      text: 'a: 1\nb: 2\n',
    }),
    `kind: Pod
args:
  - --x=1
  - "4190,4191"
list:
  - name: a
    value: "1"
  - - b
text: |
  a: 1
  b: 2
`,
  )
  assert.is(yamlStream([{ a: 1 }, { b: 2 }]), '---\na: 1\n---\nb: 2\n')
})

test('property: whatever is written is read back the same', () => {
  const leaf = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom(...'ab:-#\n "\'{}[],&*!|>%@`?=~01.\\\t'.split('')) }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  )
  const tree = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, tie('list'), tie('map')),
    list: fc.array(tie('value'), { maxLength: 4 }),
    map: fc.dictionary(
      fc.string({ maxLength: 6 }).filter((key) => key !== '<<' && key !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  })).map
  fc.assert(
    fc.property(tree, (value) => readsBack(value as object)),
    { numRuns: 500, seed: 20_261 },
  )
})

test.run()
