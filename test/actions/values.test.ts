import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveValues, type ValueInputs } from '../../src/runtime/actions/resolve-values.ts'
import { parseAssignments } from '../../src/runtime/actions/set-grammar.ts'
import { flagAssignments, valueFlags } from '../../src/runtime/actions/value-flags.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { readTemplateFile } from '../../src/templates/files.ts'
import { validateValues } from '../../src/templates/validate-values.ts'
import { defaultValues, type Values } from '../../src/templates/values.ts'

const test = suite('actions/values')

function resolve(inputs: ValueInputs, files: Record<string, string> = {}): Promise<Values> {
  return resolveValues(inputs, async (path) => {
    const text = files[path]
    if (text === undefined) throw new Error(`ENOENT ${path}`)
    return text
  })
}

async function refusal(inputs: ValueInputs, files: Record<string, string> = {}): Promise<MeshError> {
  try {
    await resolve(inputs, files)
  } catch (thrown) {
    assert.instance(thrown, MeshError)
    return thrown as MeshError
  }
  throw new Error('it was accepted')
}

test('the defaults are valid', () => {
  assert.equal(validateValues(structuredClone(defaultValues)), defaultValues)
})

test('the schema knows exactly the keys of the defaults', () => {
  type Schema = { properties?: Record<string, Schema> }
  const keys = (schema: Schema, path = ''): string[] =>
    Object.entries(schema.properties ?? {}).flatMap(([key, below]) => [
      `${path}${key}`,
      ...keys(below, `${path}${key}.`),
    ])
  const given = (tree: object, path = ''): string[] =>
    Object.entries(tree).flatMap(([key, value]) => [
      `${path}${key}`,
      ...(typeof value === 'object' ? given(value as object, `${path}${key}.`) : []),
    ])
  const schema = JSON.parse(readTemplateFile('values.schema.json')) as Schema
  assert.equal(keys(schema).sort(), given(defaultValues).sort())
})

test('later sources win: defaults, --ha, files in order, --set, flags of their own', async () => {
  const files = { a: 'controllerReplicas: 5\nproxy: {logLevel: debug}', b: 'proxy: {logLevel: trace}' }
  const fromFiles = await resolve({ ha: true, files: ['a', 'b'] }, files)
  assert.is(fromFiles.controllerReplicas, 5)
  assert.is(fromFiles.proxy.logLevel, 'trace')
  assert.is(fromFiles.webhookFailurePolicy, 'Fail')
  const all = await resolve(
    {
      files: ['a'],
      set: ['controllerReplicas=6,proxy.uid=3000'],
      assignments: flagAssignments({ 'controller-replicas': 7, 'disable-h2-upgrade': true }),
    },
    files,
  )
  assert.is(all.controllerReplicas, 7)
  assert.is(all.proxy.uid, 3000)
  assert.is(all.enableH2Upgrade, false)
})

test('the trust domain follows the cluster domain unless it is given', async () => {
  assert.is((await resolve({ set: ['clusterDomain=a.b'] })).identityTrustDomain, 'a.b')
  const both = await resolve({ set: ['clusterDomain=a.b,identityTrustDomain=c.d'] })
  assert.is(both.identityTrustDomain, 'c.d')
})

test('the registry names both images', async () => {
  const values = await resolve({ registry: 'ghcr.io/acme/' })
  assert.is(values.controllerImage.name, 'ghcr.io/acme/controller')
  assert.is(values.proxy.image.name, 'ghcr.io/acme/proxy')
})

test('a file can be a value', async () => {
  const values = await resolve({ setFile: ['proxy.logLevel=level.txt'] }, { 'level.txt': 'debug' })
  assert.is(values.proxy.logLevel, 'debug')
})

test('flags with a name of their own lead to values that exist', async () => {
  for (const { name, path, kind } of valueFlags) {
    const value = path.reduce<unknown>((tree, key) => (tree as Record<string, unknown>)[key], defaultValues)
    const expected = kind === 'number' ? 'number' : kind === 'text' ? 'string' : 'boolean'
    assert.is(typeof value, expected, name)
  }
})

const refused: [string, ValueInputs, string, RegExp, RegExp?][] = [
  [
    'an unknown key, with the nearest',
    { set: ['proxy.logLevl=debug'] },
    'MESH_VALUES_UNKNOWN_KEY',
    /proxy\.logLevl/,
    /proxy\.logLevel\?/,
  ],
  [
    'an unknown key at the top',
    { set: ['proxi.logLevel=debug'] },
    'MESH_VALUES_UNKNOWN_KEY',
    /proxi/,
    /proxy\?/,
  ],
  ['keys below a value', { set: ['namespace.x=1'] }, 'MESH_VALUES_UNKNOWN_KEY', /namespace/],
  [
    'a wrong type',
    { set: ['controllerReplicas=many'] },
    'MESH_VALUES_WRONG_TYPE',
    /controllerReplicas: "many"/,
  ],
  [
    'a list for text',
    { set: ['proxy.opaquePorts={25,587}'] },
    'MESH_VALUES_WRONG_TYPE',
    /proxy\.opaquePorts/,
  ],
  ['null', { set: ['proxy=null'] }, 'MESH_VALUES_WRONG_TYPE', /proxy/],
  [
    'a port out of range',
    { set: ['proxy.ports.inbound=70000'] },
    'MESH_VALUES_OUT_OF_RANGE',
    /proxy\.ports\.inbound/,
  ],
  [
    'a range of ports out of range',
    { setString: ['proxy.skipInboundPorts=1-70000'] },
    'MESH_VALUES_OUT_OF_RANGE',
    /1-70000/,
  ],
  [
    'ports the wrong way round',
    { setString: ['proxy.skipInboundPorts=9-8'] },
    'MESH_VALUES_OUT_OF_RANGE',
    /9-8/,
  ],
  ['root as the proxy', { set: ['proxy.uid=0'] }, 'MESH_VALUES_OUT_OF_RANGE', /proxy\.uid/],
  [
    'a policy that does not exist',
    { set: ['proxy.defaultInboundPolicy=al-authenticated'] },
    'MESH_VALUES_OUT_OF_RANGE',
    /none of/,
    /all-authenticated/,
  ],
  [
    'a limit below its request',
    { set: ['proxy.resources.memory.request=1Gi,proxy.resources.memory.limit=20Mi'] },
    'MESH_VALUES_CONFLICT',
    /limit 20Mi/,
  ],
  ['one port for two purposes', { set: ['proxy.ports.admin=4143'] }, 'MESH_VALUES_CONFLICT', /proxy\.ports/],
  ['an expression without =', { set: ['proxy'] }, 'MESH_VALUES_SET', /cannot read/],
  ['an empty key', { set: ['.a=1'] }, 'MESH_VALUES_SET', /cannot read/],
  ['a file that is not there', { files: ['none.yaml'] }, 'MESH_VALUES_FILE', /none\.yaml/],
  [
    'the prototype of every object',
    { set: ['__proto__.polluted=1'] },
    'MESH_VALUES_UNKNOWN_KEY',
    /__proto__/,
  ],
  [
    'a newline that would add a key',
    { setString: ['namespace=a\nevil: true'] },
    'MESH_VALUES_OUT_OF_RANGE',
    /namespace/,
  ],
]

for (const [what, inputs, code, message, next] of refused) {
  test(`refuses ${what}`, async () => {
    const error = await refusal(inputs)
    assert.is(error.code, code)
    assert.is(error.kind, 'usage')
    assert.match(`${error.message} ${error.reason ?? ''}`, message)
    if (next !== undefined) assert.match(error.next.join(' '), next)
  })
}

const brokenFiles: [string, string, string][] = [
  ['text', 'hello', 'MESH_VALUES_FILE'],
  ['a list', '- a', 'MESH_VALUES_FILE'],
  ['broken YAML', 'a: [', 'MESH_VALUES_FILE'],
  ['a key twice', 'namespace: a\nnamespace: b', 'MESH_VALUES_FILE'],
  ['an unknown key', 'proxy: {colour: red}', 'MESH_VALUES_UNKNOWN_KEY'],
]

for (const [what, text, code] of brokenFiles) {
  test(`refuses a values file that holds ${what}`, async () => {
    assert.is((await refusal({ files: ['f'] }, { f: text })).code, code)
  })
}

test('an empty values file changes nothing', async () => {
  assert.equal(await resolve({ files: ['f'] }, { f: '# nothing\n' }), defaultValues)
})

test('all wrong values are named at once', async () => {
  const error = await refusal({ set: ['nope=1,controllerReplicas=0'] })
  assert.match(error.message, /^2 values/)
  assert.match(error.reason ?? '', /nope.*controllerReplicas|controllerReplicas.*nope/)
})

test('the grammar of --set is that of Helm', () => {
  const values = (expression: string) => parseAssignments(expression, 'typed').map(({ value }) => value)
  assert.equal(values('a=1,b=true,c=null,d=x,e=007,f=-3'), [1, true, null, 'x', '007', -3])
  assert.equal(values('a={x,y,1}'), [['x', 'y', 1]])
  assert.equal(values('a={}'), [[]])
  assert.equal(values('a=10.0.0.0/8\\,fd00::/8'), ['10.0.0.0/8,fd00::/8'])
  assert.equal(values('a=b=c'), ['b=c'])
  assert.equal(parseAssignments('a\\.b.c[0].d=1', 'typed')[0]?.path, ['a.b', 'c', 0, 'd'])
  assert.equal(parseAssignments('a=true', 'text')[0]?.value, 'true')
})

test('resolving does not change the defaults', async () => {
  const before = structuredClone(defaultValues)
  await resolve({ ha: true, set: ['proxy.ports.inbound=5000'] })
  assert.equal(defaultValues, before)
})

test.run()
