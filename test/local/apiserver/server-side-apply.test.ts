import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { StoredObject } from '../../../src/runtime/local/apiserver/objects.ts'
import { builtinMergeSchema } from '../../../src/runtime/local/apiserver/patch/builtin-schema.ts'
import { type FieldSet, fieldsOf } from '../../../src/runtime/local/apiserver/patch/field-set.ts'
import { trackUpdate, type Writer } from '../../../src/runtime/local/apiserver/patch/managed-fields.ts'
import { applyConfiguration } from '../../../src/runtime/local/apiserver/patch/server-side-apply.ts'

const test = suite('local/apiserver/patch/server-side-apply')
const schema = builtinMergeSchema('Deployment')

function writer(manager: string, operation: Writer['operation'] = 'Apply'): Writer {
  return { manager, operation, apiVersion: 'apps/v1', time: '2026-01-01T00:00:00Z' }
}

function deployment(spec: Record<string, unknown>, metadata: Record<string, unknown> = {}): StoredObject {
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a', ...metadata }, spec }
}

function template(...containers: object[]): Record<string, unknown> {
  return { template: { spec: { containers } } }
}

const nothing: StoredObject = { metadata: { name: 'a' } }

function apply(
  live: StoredObject,
  manager: string,
  configuration: StoredObject,
  force = false,
): StoredObject {
  return JSON.parse(
    JSON.stringify(applyConfiguration(live, configuration, schema, writer(manager), force)),
  ) as StoredObject
}

function owned(object: StoredObject, manager: string): FieldSet | undefined {
  return object.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1 as
    | FieldSet
    | undefined
}

test('writes fields in the form of FieldsV1', () => {
  const fields = fieldsOf(template({ name: 'web', ports: [{ containerPort: 80 }] }), schema.fields?.spec)
  const port = 'k:{"containerPort":80,"protocol":"TCP"}'
  assert.equal(fields, {
    'f:template': {
      'f:spec': {
        'f:containers': {
          'k:{"name":"web"}': {
            '.': {},
            'f:name': {},
            'f:ports': { [port]: { '.': {}, 'f:containerPort': {} } },
          },
        },
      },
    },
  })
})

test('joins what two managers apply and remembers both', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, ...template({ name: 'web', image: 'i' }) }))
  const both = apply(
    one,
    'two',
    deployment(template({ name: 'web', tty: true }, { name: 'side', image: 's' })),
  )
  assert.equal((both.spec as { template: unknown }).template, {
    spec: {
      containers: [
        { name: 'web', image: 'i', tty: true },
        { name: 'side', image: 's' },
      ],
    },
  })
  assert.is((both.spec as { replicas: number }).replicas, 2)
  assert.ok(owned(both, 'one'))
  assert.ok(owned(both, 'two'))
})

test('removes what a manager no longer applies', () => {
  const first = apply(
    nothing,
    'one',
    deployment({ replicas: 2, paused: true }, { labels: { a: '1', b: '2' } }),
  )
  const second = apply(first, 'one', deployment({ replicas: 2 }, { labels: { a: '1' } }))
  assert.equal(second.spec, { replicas: 2 })
  assert.equal(second.metadata.labels, { a: '1' })
})

test('keeps what another manager also applies', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, paused: true }))
  const two = apply(one, 'two', deployment({ paused: true }))
  const gone = apply(two, 'one', deployment({ replicas: 2 }))
  assert.equal(gone.spec, { replicas: 2, paused: true })
})

test('removes an item of a list whole, unless another owns a part of it', () => {
  const one = apply(
    nothing,
    'one',
    deployment(template({ name: 'a', image: 'x' }, { name: 'b', image: 'y' })),
  )
  const two = apply(one, 'two', deployment(template({ name: 'b', tty: true })))
  const rest = apply(two, 'one', deployment(template()))
  const { containers } = (rest.spec as { template: { spec: { containers: object[] } } }).template.spec
  assert.equal(containers, [{ name: 'b', tty: true }])
})

test('tells every conflict with its field and owner', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, ...template({ name: 'web', image: 'i' }) }))
  try {
    apply(one, 'two', deployment({ replicas: 3, ...template({ name: 'web', image: 'j' }) }))
    assert.unreachable()
  } catch (error) {
    const { status, details } = error as {
      status: number
      details: { causes: { field: string; message: string }[] }
    }
    assert.is(status, 409)
    assert.equal(details.causes.map((cause) => cause.field).sort(), [
      '.spec.replicas',
      '.spec.template.spec.containers[name="web"].image',
    ])
    assert.is(details.causes[0]?.message, 'conflict with "one"')
  }
})

test('does not conflict over equal values', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2 }))
  const two = apply(one, 'two', deployment({ replicas: 2 }))
  assert.equal(owned(two, 'one'), owned(two, 'two'))
})

test('takes fields over when forced', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, paused: true }))
  const two = apply(one, 'two', deployment({ replicas: 3 }), true)
  assert.equal(owned(two, 'one'), { 'f:spec': { 'f:paused': {} } })
  assert.equal(owned(two, 'two'), { 'f:spec': { 'f:replicas': {} } })
})

test('a plain write owns what it changed and takes it from others', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, paused: true }))
  const next = structuredClone(one)
  next.spec = { replicas: 5 }
  trackUpdate(one, next, schema, writer('scaler', 'Update'))
  assert.equal(owned(next, 'scaler'), { 'f:spec': { 'f:replicas': {} } })
  assert.is(owned(next, 'one'), undefined)
  assert.throws(
    () => apply(next, 'one', deployment({ replicas: 2 })),
    /conflict with "scaler" using apps\/v1: .spec.replicas/,
  )
})

test('an unchanged apply changes nothing', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, ...template({ name: 'web', image: 'i' }) }))
  const again = apply(one, 'one', deployment({ replicas: 2, ...template({ name: 'web', image: 'i' }) }))
  assert.equal(again, one)
})

test('nulls in a configuration count as absent', () => {
  const one = apply(nothing, 'one', deployment({ replicas: 2, paused: null }))
  assert.equal(one.spec, { replicas: 2 })
})

test.run()
