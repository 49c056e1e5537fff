import type { StatRow } from '../shared/viz-api.ts'
import type { VizStatTable } from './viz-stat.ts'

/** One column of a table of rows; the shape that `runtime/cli/output.ts` prints. */
export interface StatColumn {
  header: string
  value: (row: StatRow) => string
  align?: 'left' | 'right'
  wide?: boolean
}

/** Linkerd's keys of one row in JSON; numbers are null where there was nothing to count. */
export interface StatJson {
  namespace: string
  kind: string
  name: string
  /** Of pods. */
  status?: string
  /** `1/2`: pods with a proxy, of all. */
  meshed: string | null
  success: number | null
  rps: number | null
  latency_ms_p50: number | null
  latency_ms_p95: number | null
  latency_ms_p99: number | null
  tcp_open_connections: number | null
  tcp_read_bytes_rate: number | null
  tcp_write_bytes_rate: number | null
}

/** The columns of a table. `withType` puts the type before names, for calls that show several. */
export function statColumns(
  kind: StatRow['kind'],
  options: { allNamespaces: boolean; withType: boolean },
): StatColumn[] {
  const prefix = options.withType ? `${kind}/` : ''
  return [
    ...(options.allNamespaces && kind !== 'namespace'
      ? [column('NAMESPACE', (row) => row.namespace ?? '', { align: 'left' })]
      : []),
    column('NAME', (row) => `${prefix}${row.name}`, { align: 'left' }),
    ...(kind === 'pod' ? [column('STATUS', (row) => row.status ?? '-')] : []),
    column('MESHED', (row) => meshedOf(row) ?? '-'),
    column('SUCCESS', (row) => show(row.successRate, (rate) => `${(rate * 100).toFixed(2)}%`)),
    column('RPS', (row) => show(row.rps, (rps) => `${rps.toFixed(1)}rps`)),
    column('LATENCY_P50', (row) => show(row.latencyMs?.p50, latency)),
    column('LATENCY_P95', (row) => show(row.latencyMs?.p95, latency)),
    column('LATENCY_P99', (row) => show(row.latencyMs?.p99, latency)),
    column('TCP_CONN', (row) => show(row.tcp?.openConnections, String)),
    column('READ_BYTES/SEC', (row) => show(row.tcp?.readBytesRate, bytes), { wide: true }),
    column('WRITE_BYTES/SEC', (row) => show(row.tcp?.writeBytesRate, bytes), { wide: true }),
  ]
}

function column(
  header: string,
  value: (row: StatRow) => string,
  options: { align?: 'left' | 'right'; wide?: boolean } = {},
): StatColumn {
  return { header, value, ...options }
}

function show(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '-' : format(value)
}

/** Whole milliseconds; what took less than one did not take none. */
function latency(ms: number): string {
  return `${Math.max(1, Math.round(ms))}ms`
}

function bytes(rate: number): string {
  return `${rate.toFixed(1)}B/s`
}

function meshedOf({ pods }: StatRow): string | null {
  return pods === null ? null : `${pods.meshed}/${pods.total}`
}

/** All rows of all tables, as JSON has them. */
export function statJson(tables: readonly VizStatTable[]): StatJson[] {
  return tables.flatMap(({ rows }) =>
    rows.map((row) => ({
      namespace: row.namespace ?? row.name,
      kind: row.kind,
      name: row.name,
      ...(row.status === null ? {} : { status: row.status }),
      meshed: meshedOf(row),
      success: row.successRate,
      rps: row.rps,
      latency_ms_p50: row.latencyMs?.p50 ?? null,
      latency_ms_p95: row.latencyMs?.p95 ?? null,
      latency_ms_p99: row.latencyMs?.p99 ?? null,
      tcp_open_connections: row.tcp?.openConnections ?? null,
      tcp_read_bytes_rate: row.tcp?.readBytesRate ?? null,
      tcp_write_bytes_rate: row.tcp?.writeBytesRate ?? null,
    })),
  )
}
