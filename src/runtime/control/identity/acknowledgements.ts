import { createHash } from 'node:crypto'
import { resources } from '../../kube/resources.ts'
import { type KubeClient, KubeError } from '../../kube/types.ts'
import { acknowledgementsName, type ConfigMap, identityLabels } from './objects.ts'

/** What one replica of identity tells the one that leads. */
export interface ReplicaReport {
  /** The bundle that it hands out. */
  revision: string
  /** Anchor of the issuer that it signs with. */
  issuerAnchor: string
  /** Pods whose proxies use that bundle, by {@link podKeyOf}. */
  pods: string[]
}

/** Ten thousand pods have to fit into one ConfigMap of 1 MiB. */
export function podKeyOf(podUid: string): string {
  return createHash('sha256').update(podUid).digest('base64url').slice(0, 11)
}

/** Writes the report of a replica beside those of the others. */
export async function writeReport(
  kube: KubeClient,
  namespace: string,
  replica: string,
  report: ReplicaReport,
): Promise<void> {
  const data = { [replica]: JSON.stringify(report) }
  try {
    await kube.mergePatch<ConfigMap>(resources.configMaps, acknowledgementsName, { data }, { namespace })
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error
    const metadata = { name: acknowledgementsName, namespace, labels: identityLabels(namespace) }
    await kube.create<ConfigMap>(resources.configMaps, { metadata, data })
  }
}

/** The reports by the name of the replica's pod. What cannot be read counts as no report. */
export async function readReports(kube: KubeClient, namespace: string): Promise<Map<string, ReplicaReport>> {
  const stored = await kube.read<ConfigMap>(resources.configMaps, acknowledgementsName, namespace)
  const reports = new Map<string, ReplicaReport>()
  for (const [replica, text] of Object.entries(stored?.data ?? {})) {
    const report = parseReport(text)
    if (report !== undefined) reports.set(replica, report)
  }
  return reports
}

/** Forgets all reports: they belong to one rotation. */
export async function clearReports(kube: KubeClient, namespace: string): Promise<void> {
  const stored = await kube.read<ConfigMap>(resources.configMaps, acknowledgementsName, namespace)
  if (stored === undefined || Object.keys(stored.data ?? {}).length === 0) return
  await kube.replace<ConfigMap>(resources.configMaps, { ...stored, data: {} })
}

function parseReport(text: string): ReplicaReport | undefined {
  try {
    const report = JSON.parse(text) as Partial<ReplicaReport>
    const isReport = typeof report.revision === 'string' && Array.isArray(report.pods)
    return isReport && typeof report.issuerAnchor === 'string' ? (report as ReplicaReport) : undefined
  } catch {
    return undefined
  }
}
