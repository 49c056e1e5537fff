import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compiledRuntime, compileTemplate } from '../../src/templates/compile.ts'
import { renderTemplate, templatesIn } from '../../src/templates/engine.ts'
import { readTemplateFile } from '../../src/templates/files.ts'

const test = suite('templates/compile')

const partials = new Map(
  templatesIn('partials').map((path) => [path.replace(/^partials\/|\.hbs$/g, ''), readTemplateFile(path)]),
)

function compile(text: string, own: ReadonlyMap<string, string> = partials): (context: object) => unknown {
  return new Function(`${compiledRuntime}\nreturn ${compileTemplate(text, own)}`)() as (
    context: object,
  ) => unknown
}

/** Every path that a template reads, and how. */
function pathsOf(text: string): { values: string[]; lists: string[]; conditions: string[] } {
  const all = [text, ...partials.values()].join('\n')
  const found = (pattern: RegExp) => [...all.matchAll(pattern)].map(([, path]) => path ?? '')
  return {
    values: found(/\{\{json ([\w.]+)\}\}/g),
    lists: found(/\{\{#each ([\w.]+)\}\}/g),
    conditions: found(/\{\{#if ([\w.]+)\}\}/g),
  }
}

/** A context that has every path; conditions are as a bit of `seed` says. */
function contextFor(text: string, seed: number): object {
  const context: Record<string, unknown> = {}
  const put = (path: string, value: unknown) => {
    const keys = path.split('.')
    let at = context
    for (const key of keys.slice(0, -1)) {
      if (typeof at[key] !== 'object' || at[key] === null) at[key] = {}
      at = at[key] as Record<string, unknown>
    }
    const last = keys.at(-1) ?? ''
    if (typeof at[last] !== 'object') at[last] = value
  }
  const { values, lists, conditions } = pathsOf(text)
  for (const [index, path] of values.entries()) put(path, hostile[index % hostile.length])
  for (const [index, path] of conditions.entries()) {
    const isOn = ((seed >> (index % 8)) & 1) === 1
    put(path, isOn ? { a: 1, 'b: c': ['x'] } : (['', null, false, []] as const)[index % 4])
    if (!isOn) forceOff(context, path)
  }
  for (const path of lists)
    put(
      path,
      seed % 3 === 0
        ? []
        : [
            { name: 'A', value: 'x: #y' },
            { name: 'B', value: '' },
          ],
    )
  return context
}

function forceOff(context: Record<string, unknown>, path: string): void {
  const keys = path.split('.')
  const parent = keys.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], context)
  ;(parent as Record<string, unknown>)[keys.at(-1) ?? ''] = ''
}

/** What breaks YAML when it is not quoted. */
const hostile = [
  'plain',
  'a"b',
  "it's",
  'x: y\nevil: true',
  '{{json x}}',
  '- a',
  '#',
  '\u2028',
  0,
  true,
  'null',
  '',
]

for (const folder of ['control-plane', 'crds', 'proxy', 'viz']) {
  test(`compiled templates of ${folder} make what Handlebars makes`, () => {
    for (const path of templatesIn(folder)) {
      const text = readTemplateFile(path)
      const compiled = compile(text)
      for (const seed of [0, 255, 0b10101010, 0b01011100]) {
        const context = contextFor(text, seed)
        assert.equal(compiled(context), renderTemplate(path, context), `${path} with ${seed}`)
      }
    }
  })
}

test('a missing field is an error', () => {
  assert.throws(() => compile('a: {{json b.c}}')({ b: {} }), /b\.c/)
  assert.throws(() => compile('a: {{json b.c}}')({}), /b\.c/)
})

test('else, each and blocks in lists', () => {
  const made = compile(`
list:
{{#if on}}
- a
{{else}}
- b
{{/if}}
{{#each items}}
- name: {{json name}}
{{/each}}
- z
`)
  assert.equal(made({ on: true, items: [{ name: 1 }, { name: 2 }] }), {
    list: ['a', { name: 1 }, { name: 2 }, 'z'],
  })
  assert.equal(made({ on: false, items: [] }), { list: ['b', 'z'] })
})

test('objects that are put in are copies', () => {
  const given = { a: { b: 1 } }
  const made = compile('x: {{json a}}')(given) as { x: { b: number } }
  made.x.b = 2
  assert.is(given.a.b, 1)
})

for (const text of [
  'a: x{{json b}}y',
  '{{#unless a}}\nb: 1\n{{/unless}}',
  'a: {{b}}',
  '{{#if a}}\n{{/if}}',
  '{{> none}}',
]) {
  test(`what templates do not use is refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => compile(text)({ a: 1, b: 2 }))
  })
}

test.run()
