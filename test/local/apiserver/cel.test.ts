import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluateCel } from '../../../src/runtime/local/apiserver/cel/evaluate.ts'

const test = suite('local/apiserver/cel')

const variables = {
  object: {
    metadata: { name: 'web', labels: { app: 'shop', 'a.b/c': 'x' }, annotations: {} },
    spec: { replicas: 3, ports: [80, 443], nothing: null },
  },
  request: { operation: 'CREATE', userInfo: { groups: ['a', 'system:nodes'] } },
}

const cases: [expression: string, value: unknown][] = [
  ['1 + 2 * 3', 7],
  ['(1 + 2) * 3', 9],
  ['-7 / 2', -3],
  ['7 % 4 == 3 && !(1 > 2)', true],
  ['"a" + \'b\'', 'ab'],
  ['[1] + [2]', [1, 2]],
  ['{"a": 1}.a', 1],
  ['object.metadata.name', 'web'],
  ['object.metadata.labels["a.b/c"]', 'x'],
  ['object.spec.ports[1]', 443],
  ['has(object.metadata.labels) && has(object.metadata.labels.app)', true],
  ['has(object.metadata.labels.other)', false],
  ['has(object.spec.nothing)', false],
  ['"app" in object.metadata.labels', true],
  ['443 in object.spec.ports', true],
  ['!("system:nodes" in request.userInfo.groups)', false],
  ['object.metadata.name.startsWith("we") && object.metadata.name.endsWith("b")', true],
  ['object.metadata.name.matches("^w.b$")', true],
  ['size(object.spec.ports) == 2 && object.metadata.name.size() == 3', true],
  ['object.spec.ports.all(p, p > 79)', true],
  ['object.spec.ports.exists(p, p == 443)', true],
  ['object.spec.ports.exists_one(p, p == 443)', true],
  ['object.spec.ports.filter(p, p > 80)', [443]],
  ['object.spec.ports.map(p, p + 1)', [81, 444]],
  ['object.metadata.labels.all(k, k != "")', true],
  ['object.spec.replicas > 2 ? "many" : "few"', 'many'],
  ['true || object.no.such.field', true],
  ['object.no.such.field || true', true],
  ['false && object.no.such.field', false],
  ['type(1) == "int" && type([]) == "list"', true],
  ['r"\\d" == "\\\\d"', true],
  ['request.operation != "DELETE" // comment\n && true', true],
]

for (const [expression, value] of cases) {
  test(expression.replace(/\n/g, ' '), () => {
    assert.equal(evaluateCel(expression, variables), value)
  })
}

for (const expression of [
  '1 +',
  'object.',
  'authorizer.group("")',
  'nope',
  'object.no.field',
  '1 + "a"',
  '@',
  '(1',
  '1 2',
]) {
  test(`refuses ${expression}`, () => {
    assert.throws(
      () => evaluateCel(expression, variables),
      (error: Error) => error.name === 'CelError',
    )
  })
}

test.run()
