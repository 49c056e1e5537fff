import { resources } from '../kube/resources.ts'
import type { KubeClient, Resource } from '../kube/types.ts'
import { MeshError } from '../shared/errors.ts'
import {
  maxWindowMs,
  minWindowMs,
  type ResourceRef,
  type StatKind,
  type StatQuery,
  type StatRow,
} from '../shared/viz-api.ts'
import type { VizClient } from './viz-client.ts'
import { type NamedResource, parseResource, parseResources } from './viz-resource.ts'

/** What `mesh viz stat` was asked. */
export interface VizStatOptions {
  /** `TYPE`, `TYPE NAME…`, `TYPE/NAME…` or `all`. */
  words: readonly string[]
  /** Instead of one namespace. */
  allNamespaces: boolean
  /** As Go writes durations: `1m`. */
  window: string
  to?: string
  toNamespace?: string
  from?: string
  fromNamespace?: string
  selector?: string
  /** Keep rows without a meshed pod. */
  unmeshed: boolean
}

/** A cluster that is asked. */
export interface VizStatCluster {
  kube: KubeClient
  /** The namespace that the command line means. */
  namespace: string
  viz: () => Promise<VizClient>
}

/** The rows of one type. */
export interface VizStatTable {
  kind: StatKind
  rows: StatRow[]
}

/** What was found; tables without rows are left out. */
export interface VizStatResult {
  tables: VizStatTable[]
  /** For a person: why there may be less than was expected. */
  notes: string[]
}

/**
 * Asks for golden metrics.
 * @throws MeshError `MESH_VIZ_RESOURCE`, `MESH_VIZ_WINDOW`, `MESH_VIZ_FLAGS`, `MESH_VIZ_NOT_FOUND`, and those of
 * {@link VizClient}
 */
export async function vizStat(
  options: VizStatOptions,
  connect: () => VizStatCluster,
): Promise<VizStatResult> {
  // What can be refused without a cluster is refused without one.
  const named = parseResources(options.words)
  const windowMs = parseWindowMs(options.window)
  checkFlags(named, options)
  const cluster = connect()
  const namespace = options.allNamespaces ? undefined : cluster.namespace
  const queries = named.map((resource) => queryOf(resource, options, windowMs, namespace))
  const viz = await cluster.viz()
  const answers = await Promise.all(
    queries.map(async (query) => ({ query, rows: (await viz.stat(query)).rows })),
  )
  const notes: string[] = []
  const tables = new Map<StatKind, VizStatTable>()
  for (const { query, rows } of answers) {
    const { kind, name } = query.target
    const shown = rows.filter((row) => isShown(row, query, options.unmeshed))
    if (shown.length === 0 && name !== undefined) {
      await requireObject(cluster.kube, query.target)
      if (rows.length > 0) notes.push(`${kind}/${name} has no meshed pod; --unmeshed shows it all the same.`)
    }
    const table = tables.get(kind) ?? { kind, rows: [] }
    table.rows.push(...shown)
    tables.set(kind, table)
  }
  return { tables: [...tables.values()].filter(({ rows }) => rows.length > 0), notes }
}

function isShown(row: StatRow, query: StatQuery, unmeshed: boolean): boolean {
  return row.pods === null || row.pods.meshed > 0 || unmeshed || query.from !== undefined
}

function checkFlags(named: readonly NamedResource[], options: VizStatOptions): void {
  if (options.to !== undefined && options.from !== undefined) {
    throw flagsError('--to and --from exclude each other')
  }
  const peerNamespace = options.toNamespace ?? options.fromNamespace
  if (peerNamespace !== undefined && named.some(({ kind }) => kind === 'namespace')) {
    throw flagsError('a namespace goes with neither --to-namespace nor --from-namespace')
  }
  const inOne = named.find(({ kind, name }) => name !== undefined && kind !== 'namespace')
  if (options.allNamespaces && inOne !== undefined) {
    throw flagsError(
      `${inOne.kind}/${inOne.name} is in one namespace, so --all-namespaces does not go with it`,
    )
  }
  if (options.to === 'all' || options.from === 'all') {
    throw flagsError('--to and --from name one type or object, not all')
  }
  if (options.to !== undefined) parseResource(options.to)
  if (options.from !== undefined && parseResource(options.from).kind === 'service') {
    throw flagsError('--from is a workload, a pod or a namespace, not a service')
  }
}

function queryOf(
  resource: NamedResource,
  options: VizStatOptions,
  windowMs: number,
  namespace: string | undefined,
): StatQuery {
  const { to, from, selector } = options
  return {
    target: refOf(resource, namespace),
    windowMs,
    ...(to === undefined ? {} : { to: refOf(parseResource(to), options.toNamespace ?? namespace) }),
    ...(from === undefined ? {} : { from: refOf(parseResource(from), options.fromNamespace ?? namespace) }),
    ...(selector === undefined ? {} : { selector }),
  }
}

function refOf({ kind, name }: NamedResource, namespace: string | undefined): ResourceRef {
  return {
    kind,
    ...(namespace === undefined || kind === 'namespace' ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
  }
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/**
 * Reads the time to look back over.
 * @param text such as `30s`, `1m` or `1h`
 * @throws MeshError `MESH_VIZ_WINDOW`
 */
export function parseWindowMs(text: string): number {
  const isDuration = /^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)
  let windowMs = 0
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    windowMs += Number(amount) * (unitsMs[unit] ?? 0)
  }
  if (isDuration && windowMs >= minWindowMs && windowMs <= maxWindowMs) return windowMs
  throw new MeshError({
    code: 'MESH_VIZ_WINDOW',
    kind: 'usage',
    message: `${JSON.stringify(text)} is not a time window`,
    reason: 'it is a duration from 15s, which is a few scrapes, to 1h, which is what is kept',
    next: ['Write it such as 30s, 1m or 1h.'],
  })
}

const kubeResources: Readonly<Partial<Record<StatKind, Resource>>> = {
  deployment: resources.deployments,
  daemonset: resources.daemonSets,
  statefulset: resources.statefulSets,
  replicaset: resources.replicaSets,
  job: resources.jobs,
  cronjob: resources.cronJobs,
  pod: resources.pods,
  namespace: resources.namespaces,
  service: resources.services,
}

async function requireObject(kube: KubeClient, { kind, name = '', namespace }: ResourceRef): Promise<void> {
  const resource = kubeResources[kind]
  if (resource === undefined || (await kube.read(resource, name, namespace)) !== undefined) return
  const where = namespace === undefined ? '' : ` in the namespace ${namespace}`
  throw new MeshError({
    code: 'MESH_VIZ_NOT_FOUND',
    kind: 'usage',
    message: `there is no ${kind} ${JSON.stringify(name)}${where}`,
    next: [`kubectl get ${resource.plural}${namespace === undefined ? '' : ` -n ${namespace}`}`],
  })
}

function flagsError(message: string): MeshError {
  return new MeshError({
    code: 'MESH_VIZ_FLAGS',
    kind: 'usage',
    message,
    next: ['See: mesh viz stat --help'],
  })
}
