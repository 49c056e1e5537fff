import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyDefaults } from '../../../src/runtime/local/apiserver/crd/defaults.ts'
import { pruneUnknownFields } from '../../../src/runtime/local/apiserver/crd/prune.ts'
import { validateRules } from '../../../src/runtime/local/apiserver/crd/rules.ts'
import type { Schema } from '../../../src/runtime/local/apiserver/crd/schema.ts'
import { validateValue } from '../../../src/runtime/local/apiserver/crd/validate.ts'

const test = suite('local/apiserver/crd')

function errors(value: unknown, schema: Schema): string[] {
  return validateValue(value, schema, 'f').map((error) => error.field)
}

const cases: [title: string, schema: Schema, good: unknown[], bad: unknown[]][] = [
  ['string', { type: 'string' }, ['a', ''], [1, null, {}, true]],
  ['integer', { type: 'integer' }, [1, -1], [1.5, '1']],
  ['number', { type: 'number' }, [1, 1.5], ['1']],
  ['boolean', { type: 'boolean' }, [true], ['true', 1]],
  ['nullable', { type: 'string', nullable: true }, [null, 'a'], [1]],
  ['int-or-string', { 'x-kubernetes-int-or-string': true }, [1, 'a'], [1.5, true]],
  ['enum', { type: 'string', enum: ['a', 'b'] }, ['a'], ['c']],
  ['pattern', { type: 'string', pattern: '^[a-z]+$' }, ['abc'], ['A', '']],
  ['pattern with inline flags', { type: 'string', pattern: '(?i)^abc$' }, ['ABC'], ['x']],
  ['length', { type: 'string', minLength: 2, maxLength: 3 }, ['ab', 'äöü'], ['a', 'abcd']],
  ['range', { type: 'integer', minimum: 1, maximum: 3 }, [1, 3], [0, 4]],
  ['open range', { type: 'integer', minimum: 1, exclusiveMinimum: true }, [2], [1]],
  ['multiple', { type: 'integer', multipleOf: 5 }, [10], [7]],
  ['int32', { type: 'integer', format: 'int32' }, [2 ** 31 - 1], [2 ** 31]],
  ['date-time', { type: 'string', format: 'date-time' }, ['2026-01-01T00:00:00Z'], ['yesterday']],
  [
    'list',
    { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2 },
    [['a']],
    [[], ['a', 'b', 'c'], [1], {}],
  ],
  [
    'set',
    { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    [['a', 'b']],
    [['a', 'a']],
  ],
  ['map', { type: 'object', additionalProperties: { type: 'integer' } }, [{ a: 1 }], [{ a: 'x' }, []]],
  ['required', { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }, [{ a: '' }], [{}]],
  ['anyOf', { anyOf: [{ type: 'string' }, { type: 'integer' }] }, ['a', 1], [true]],
  ['oneOf', { oneOf: [{ required: ['a'] }, { required: ['b'] }] }, [{ a: 1 }], [{}, { a: 1, b: 1 }]],
  ['allOf', { allOf: [{ minimum: 1 }, { maximum: 2 }] }, [1], [0, 3]],
  ['not', { not: { enum: ['x'] } }, ['y'], ['x']],
]

for (const [title, schema, good, bad] of cases) {
  test(`validates: ${title}`, () => {
    for (const value of good) assert.equal(errors(value, schema), [], `${JSON.stringify(value)} is good`)
    for (const value of bad) assert.ok(errors(value, schema).length > 0, `${JSON.stringify(value)} is bad`)
  })
}

test('names the field and the reason as Kubernetes does', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      mode: { type: 'string', enum: ['a', 'b'] },
      ports: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['port'],
        items: { type: 'object', properties: { port: { type: 'integer', minimum: 1 } }, required: ['port'] },
      },
    },
    required: ['name'],
  }
  const found = validateValue({ mode: 'c', ports: [{ port: 0 }, {}, { port: 0 }] }, schema, '')
  const lines = found.map((error) => `${error.field}: ${error.message}`).sort()
  assert.equal(lines, [
    'mode: Unsupported value: "c": supported values: "a", "b"',
    'name: Required value',
    'ports[0].port: Invalid value: 0: ports[0].port in body should be greater than or equal to 1',
    'ports[1].port: Required value',
    'ports[2].port: Invalid value: 0: ports[2].port in body should be greater than or equal to 1',
    'ports[2]: Duplicate value: {"port":0}',
  ])
})

test('fills in defaults at every depth, once', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      mode: { type: 'string', default: 'a' },
      nested: { type: 'object', default: {}, properties: { deep: { type: 'integer', default: 7 } } },
      absent: { type: 'object', properties: { deep: { type: 'integer', default: 7 } } },
      list: { type: 'array', items: { type: 'object', properties: { n: { type: 'integer', default: 1 } } } },
      map: {
        type: 'object',
        additionalProperties: { type: 'object', properties: { n: { type: 'integer', default: 1 } } },
      },
      nulled: { type: 'string', default: 'x' },
    },
  }
  const value = { list: [{}, { n: 2 }], map: { k: {} }, nulled: null }
  applyDefaults(value, schema)
  const expected = {
    mode: 'a',
    nested: { deep: 7 },
    list: [{ n: 1 }, { n: 2 }],
    map: { k: { n: 1 } },
    nulled: 'x',
  }
  assert.equal(value, expected)
  applyDefaults(value, schema)
  assert.equal(value, expected)
})

test('prunes unknown fields and tells their paths', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          known: { type: 'string' },
          free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
          template: {
            type: 'object',
            'x-kubernetes-embedded-resource': true,
            properties: { spec: { type: 'object' } },
          },
        },
      },
    },
  }
  const value = {
    apiVersion: 'a/v1',
    kind: 'K',
    metadata: { name: 'x' },
    spec: {
      known: 'a',
      typo: 1,
      free: { any: { thing: 1 } },
      list: [{ a: 'x', b: 'y' }],
      template: { kind: 'Pod', metadata: { labels: {} }, spec: { gone: 1 } },
    },
    extra: true,
  }
  const unknown = pruneUnknownFields(value, schema, true)
  assert.equal(unknown.sort(), ['extra', 'spec.list[0].b', 'spec.template.spec.gone', 'spec.typo'])
  assert.equal(value.spec, {
    known: 'a',
    free: { any: { thing: 1 } },
    list: [{ a: 'x' }],
    template: { kind: 'Pod', metadata: { labels: {} }, spec: {} },
  } as never)
  assert.equal(value.metadata, { name: 'x' })
})

test('checks CEL rules, with the old value where they ask for it', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { min: { type: 'integer' }, max: { type: 'integer' }, name: { type: 'string' } },
        'x-kubernetes-validations': [
          { rule: 'self.min <= self.max', message: 'min must not be above max' },
          { rule: 'self.name == oldSelf.name', message: 'name is immutable', fieldPath: '.name' },
        ],
      },
    },
  }
  const good = { spec: { min: 1, max: 2, name: 'a' } }
  assert.equal(validateRules(good, undefined, schema), [])
  const bad = validateRules({ spec: { min: 3, max: 2, name: 'b' } }, good, schema)
  assert.equal(
    bad.map((error) => `${error.field}: ${error.message}`),
    [
      'spec: Invalid value: "object": min must not be above max',
      'spec.name: Invalid value: "object": name is immutable',
    ],
  )
})

test.run()
