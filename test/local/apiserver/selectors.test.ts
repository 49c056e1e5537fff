import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  compileFieldSelector,
  compileLabelSelector,
  labelsMatch,
} from '../../../src/runtime/local/apiserver/selectors.ts'

const test = suite('local/apiserver/selectors')

const labels = { app: 'web', tier: 'front', empty: '' }
const object = { metadata: { name: 'a', labels }, status: { phase: 'Running' } }

const cases: [selector: string, chosen: boolean][] = [
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app!=web', false],
  ['other!=web', true],
  ['app', true],
  ['!app', false],
  ['!other', true],
  ['app in (web,api)', true],
  ['app in(api)', false],
  ['app notin (web)', false],
  ['other notin (web)', true],
  ['empty=', true],
  ['app=web,tier=back', false],
  ['app in (web, api), tier = front', true],
]

for (const [selector, chosen] of cases) {
  test(`label selector "${selector}" is ${chosen}`, () => {
    assert.is(compileLabelSelector(selector)(object), chosen)
  })
}

test('refuses label selectors that make no sense', () => {
  for (const selector of ['=a', 'app in web', 'a b']) {
    assert.throws(
      () => compileLabelSelector(selector),
      (error: { status?: number }) => error.status === 400,
    )
  }
})

test('field selectors compare texts at paths', () => {
  assert.ok(compileFieldSelector('status.phase=Running')(object))
  assert.not(compileFieldSelector('status.phase!=Running')(object))
  assert.ok(compileFieldSelector('spec.nodeName=')(object))
  assert.ok(compileFieldSelector('metadata.name=a,status.phase==Running')(object))
})

test('refuses fields that a kind does not offer', () => {
  assert.throws(
    () => compileFieldSelector('spec.foo=a', ['metadata.name']),
    /field label not supported: spec.foo/,
  )
})

test('LabelSelector objects combine labels and expressions', () => {
  const expression = (
    operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist',
    key: string,
    values: string[] = [],
  ) => ({
    matchExpressions: [{ key, operator, values }],
  })
  assert.ok(labelsMatch({}, labels))
  assert.ok(labelsMatch({ matchLabels: { app: 'web' } }, labels))
  assert.not(labelsMatch({ matchLabels: { app: 'api' } }, labels))
  assert.ok(labelsMatch(expression('In', 'app', ['web']), labels))
  assert.not(labelsMatch(expression('NotIn', 'app', ['web']), labels))
  assert.ok(labelsMatch(expression('NotIn', 'other', ['web']), labels))
  assert.ok(labelsMatch(expression('Exists', 'tier'), labels))
  assert.not(labelsMatch(expression('DoesNotExist', 'tier'), undefined) === false)
})

test.run()
