import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { connectViz } from '../../src/runtime/actions/viz-client.ts'
import { shortIdentity, vizEdges } from '../../src/runtime/actions/viz-edges.ts'
import { vizInstall } from '../../src/runtime/actions/viz-install.ts'
import { parseResource, parseResources } from '../../src/runtime/actions/viz-resource.ts'
import { parseWindowMs, type VizStatOptions, vizStat } from '../../src/runtime/actions/viz-stat.ts'
import { statColumns, statJson } from '../../src/runtime/actions/viz-table.ts'
import { renderTable } from '../../src/runtime/cli/output.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { RawResponse } from '../../src/runtime/kube/types.ts'
import { MeshError } from '../../src/runtime/shared/errors.ts'
import { decodeStatQuery, type StatQuery, type StatRow } from '../../src/runtime/shared/viz-api.ts'
import { FakeKube } from '../support/fake-kube.ts'

const test = suite('viz/actions')

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action()
  } catch (error) {
    if (error instanceof MeshError) return `${error.code} ${error.message}`
    throw error
  }
  return 'no error'
}

function json(status: number, body: unknown): RawResponse {
  return { status, headers: {}, body: JSON.stringify(body) }
}

function row(name: string, overrides: Partial<StatRow> = {}): StatRow {
  return {
    kind: 'deployment',
    namespace: 'shop',
    name,
    status: null,
    pods: { meshed: 2, total: 2 },
    successRate: 0.8,
    rps: 12.345,
    latencyMs: { p50: 0.5, p95: 4.6, p99: 99.5 },
    tcp: { openConnections: 3, readBytesRate: 1_234.56, writeBytesRate: 0 },
    ...overrides,
  }
}

/** A cluster with viz that answers each query with rows. */
function cluster(answer: (query: StatQuery) => StatRow[]): { kube: FakeKube; queries: StatQuery[] } {
  const kube = new FakeKube()
  kube.put(resources.namespaces, {
    metadata: { name: 'my-viz', labels: { 'linkerd.io/extension': 'viz' } },
  })
  const queries: StatQuery[] = []
  kube.onRaw = ({ path }) => {
    assert.match(
      path,
      /^\/api\/v1\/namespaces\/my-viz\/services\/http:metrics-api:8085\/proxy\/api\/v1\/stat\?/,
    )
    const query = decodeStatQuery(new URLSearchParams(path.split('?')[1]))
    queries.push(query)
    return json(200, { rows: answer(query) })
  }
  return { kube, queries }
}

function stat(kube: FakeKube, options: Partial<VizStatOptions>) {
  return vizStat(
    { words: ['deploy'], allNamespaces: false, window: '1m', unmeshed: false, ...options },
    () => ({ kube, namespace: 'shop', viz: () => connectViz(kube) }),
  )
}

test('reads types, names and all', () => {
  assert.equal(parseResources(['deploy']), [{ kind: 'deployment' }])
  assert.equal(parseResources(['PO', 'a', 'b']), [
    { kind: 'pod', name: 'a' },
    { kind: 'pod', name: 'b' },
  ])
  assert.equal(parseResources(['sts/a', 'services/b']), [
    { kind: 'statefulset', name: 'a' },
    { kind: 'service', name: 'b' },
  ])
  assert.is(parseResources(['all']).length, 9)
  assert.equal(parseResource('ns/x'), { kind: 'namespace', name: 'x' })
})

test('says what is wrong with a resource', async () => {
  const error = (...words: string[]) => codeOf(() => parseResources(words))
  assert.match(await error(), /^MESH_VIZ_RESOURCE no resource/)
  assert.match(await error('deplo'), /no resource type "deplo"/)
  assert.match(await error('__proto__'), /no resource type/)
  assert.match(await error('all', 'x'), /all stands alone/)
  assert.match(await error('deploy', 'a', 'a'), /deployment\/a is named twice/)
  assert.match(await error('deploy/'), /is not TYPE\/NAME/)
  assert.match(await error('deploy/a', 'b'), /"b" is not TYPE\/NAME/)
  assert.match(await error('deploy', 'po/b'), /do not go together/)
})

test('reads windows from 15s to 1h', async () => {
  assert.is(parseWindowMs('1m'), 60_000)
  assert.is(parseWindowMs('1m30s'), 90_000)
  assert.is(parseWindowMs('0.5h'), 1_800_000)
  for (const bad of ['', '1', '14s', '61m', '1d', '-1m', '1m x']) {
    assert.match(await codeOf(() => parseWindowMs(bad)), /^MESH_VIZ_WINDOW/, bad)
  }
})

test('asks with namespace, window, peer and selector', async () => {
  const { kube, queries } = cluster(() => [row('web')])
  await stat(kube, { words: ['deploy/web'], to: 'deploy/payments', selector: 'a=b', window: '30s' })
  await stat(kube, { words: ['ns'], from: 'ns/other' })
  assert.equal(queries, [
    {
      target: { kind: 'deployment', namespace: 'shop', name: 'web' },
      windowMs: 30_000,
      to: { kind: 'deployment', namespace: 'shop', name: 'payments' },
      selector: 'a=b',
    },
    { target: { kind: 'namespace' }, windowMs: 60_000, from: { kind: 'namespace', name: 'other' } },
  ])
})

test('refuses flags that contradict each other', async () => {
  const { kube } = cluster(() => [])
  const error = (options: Partial<VizStatOptions>) => codeOf(() => stat(kube, options))
  assert.match(await error({ to: 'po', from: 'po' }), /^MESH_VIZ_FLAGS --to and --from/)
  assert.match(await error({ from: 'svc/x' }), /^MESH_VIZ_FLAGS --from/)
  assert.match(await error({ to: 'all' }), /^MESH_VIZ_FLAGS --to/)
  assert.match(await error({ words: ['ns'], toNamespace: 'x' }), /^MESH_VIZ_FLAGS a namespace/)
  assert.match(
    await error({ words: ['deploy/web'], allNamespaces: true }),
    /^MESH_VIZ_FLAGS .*all-namespaces/,
  )
})

test('hides rows without a meshed pod unless they are asked for', async () => {
  const { kube } = cluster(() => [row('web'), row('old', { pods: { meshed: 0, total: 1 } })])
  const names = async (options: Partial<VizStatOptions>) =>
    (await stat(kube, options)).tables.flatMap(({ rows }) => rows.map(({ name }) => name))
  assert.equal(await names({}), ['web'])
  assert.equal(await names({ unmeshed: true }), ['web', 'old'])
  assert.equal(await names({ from: 'deploy/x' }), ['web', 'old'])
})

test('a name that does not exist is an error; one that is not meshed gets a note', async () => {
  const { kube } = cluster(({ target }) =>
    target.name === 'old' ? [row('old', { pods: { meshed: 0, total: 1 } })] : [],
  )
  kube.put(resources.deployments, { metadata: { name: 'old', namespace: 'shop' } })
  const { tables, notes } = await stat(kube, { words: ['deploy/old'] })
  assert.equal(tables, [])
  assert.match(notes[0] ?? '', /deployment\/old has no meshed pod/)
  assert.match(
    await codeOf(() => stat(kube, { words: ['deploy/new'] })),
    /^MESH_VIZ_NOT_FOUND there is no deployment "new" in the namespace shop/,
  )
})

test('tells viz that is missing from viz that does not answer', async () => {
  const empty = new FakeKube()
  assert.match(await codeOf(() => connectViz(empty)), /^MESH_VIZ_NOT_INSTALLED/)
  const answered = (response: RawResponse) => {
    const kube = new FakeKube()
    kube.onRaw = () => response
    return codeOf(async () => (await connectViz(kube, 'linkerd-viz')).targets())
  }
  assert.match(await answered(json(404, { kind: 'Status', message: 'not found' })), /^MESH_VIZ_NOT_INSTALLED/)
  assert.match(
    await answered(json(503, { kind: 'Status', message: 'no endpoints' })),
    /^MESH_VIZ_UNAVAILABLE/,
  )
  assert.match(await answered({ status: 200, headers: {}, body: '<html>' }), /^MESH_VIZ_UNAVAILABLE/)
  const refusal = { error: { code: 'MESH_VIZ_REQUEST', message: 'kind is missing' } }
  assert.match(await answered(json(400, refusal)), /^MESH_VIZ_REQUEST .*kind is missing/)
})

test('shows a table with the units of Linkerd', () => {
  const idle = row('stock', { successRate: null, rps: null, latencyMs: null })
  const columns = statColumns('deployment', { allNamespaces: false, withType: false })
  assert.is(
    renderTable(columns, [row('web'), idle], { wide: false }),
    [
      'NAME    MESHED   SUCCESS       RPS   LATENCY_P50   LATENCY_P95   LATENCY_P99   TCP_CONN',
      'web        2/2    80.00%   12.3rps           1ms           5ms         100ms          3',
      'stock      2/2         -         -             -             -             -          3',
      '',
    ].join('\n'),
  )
  const wide = renderTable(statColumns('pod', { allNamespaces: true, withType: true }), [row('a')], {
    wide: true,
  })
  assert.match(wide, /^NAMESPACE +NAME +STATUS +MESHED .* READ_BYTES\/SEC +WRITE_BYTES\/SEC\n/)
  assert.match(wide, /shop +pod\/a +- .* 1234\.6B\/s +0\.0B\/s\n$/)
})

test('JSON has the keys of Linkerd', () => {
  const [first] = statJson([{ kind: 'deployment', rows: [row('web', { latencyMs: null })] }])
  assert.equal(first, {
    namespace: 'shop',
    kind: 'deployment',
    name: 'web',
    meshed: '2/2',
    success: 0.8,
    rps: 12.345,
    latency_ms_p50: null,
    latency_ms_p95: null,
    latency_ms_p99: null,
    tcp_open_connections: 3,
    tcp_read_bytes_rate: 1_234.56,
    tcp_write_bytes_rate: 0,
  })
})

test('edges are of one type that can have them', async () => {
  const kube = new FakeKube()
  const connect = () => ({ namespace: 'shop', viz: () => connectViz(kube, 'linkerd-viz') })
  for (const word of ['svc', 'all', 'deploy/web']) {
    const edges = () => vizEdges({ words: [word], allNamespaces: false }, connect)
    assert.match(await codeOf(edges), /^MESH_VIZ_RESOURCE/, word)
  }
  kube.onRaw = ({ path }) => {
    assert.match(path, /\/api\/v1\/edges\?kind=deployment&namespace=shop$/)
    return json(200, { edges: [] })
  }
  assert.equal(await vizEdges({ words: ['deploy'], allNamespaces: false }, connect), [])
  assert.is(shortIdentity('web.shop.serviceaccount.identity.linkerd.cluster.local'), 'web.shop')
})

const installOptions = {
  namespace: 'linkerd-viz',
  controlPlaneNamespace: 'linkerd',
  logLevel: 'info',
  scrapeInterval: '5s',
}

test('viz is installed with the image of the control plane that is there', async () => {
  const kube = new FakeKube()
  assert.match(await codeOf(() => vizInstall(installOptions, kube)), /^MESH_VIZ_NO_CONTROL_PLANE/)
  const values = 'controllerImage:\n  name: my.registry/c\n  version: v9\n  pullPolicy: Never\n'
  kube.put(resources.configMaps, {
    metadata: { name: 'linkerd-config', namespace: 'linkerd' },
    data: { values },
  } as { metadata: { name: string; namespace: string } })
  const objects = await vizInstall(installOptions, kube)
  assert.equal(
    objects.map(({ kind }) => kind),
    ['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Service', 'Deployment'],
  )
  assert.match(JSON.stringify(objects), /"image":"my\.registry\/c:v9"/)
  assert.equal(await vizInstall(installOptions, kube), objects)
})

test('an interval that metrics-api would refuse is refused before', async () => {
  for (const scrapeInterval of ['0s', '61s', '5', 'x']) {
    const options = { ...installOptions, scrapeInterval }
    assert.match(await codeOf(() => vizInstall(options, undefined)), /^MESH_VIZ_INTERVAL/)
  }
})

test.run()
