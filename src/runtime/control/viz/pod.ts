import type { KubeObject } from '../../kube/types.ts'
import { labels, proxyContainerName } from '../../shared/labels.ts'
import { type WorkloadKind, workloadKinds } from '../../shared/viz-api.ts'

/** The fields of `core/v1` Pod that are read. */
export interface PodObject extends KubeObject {
  spec?: {
    serviceAccountName?: string
    hostNetwork?: boolean
    containers?: Container[]
    initContainers?: Container[]
  }
  status?: {
    phase?: string
    reason?: string
    podIP?: string
    containerStatuses?: ContainerStatus[]
  }
}

interface Container {
  name: string
  ports?: { name?: string; containerPort: number }[]
}

interface ContainerStatus {
  state?: { waiting?: { reason?: string }; terminated?: { reason?: string } }
}

/** A pod as far as statistics need it. */
export interface VizPod {
  uid: string
  namespace: string
  name: string
  labels: Readonly<Record<string, string>>
  serviceAccount: string
  /** What owns it, by kind: a pod of a Deployment has the Deployment and the ReplicaSet. */
  owners: Readonly<Partial<Record<WorkloadKind, string>>>
  /** What `kubectl get pod` shows as STATUS. */
  status: string
  /** It ran to its end, well or not. */
  hasEnded: boolean
  isMeshed: boolean
  /** Where its proxy serves metrics; absent while it has no address or no proxy. */
  metricsAddress?: { host: string; port: number }
}

const defaultAdminPort = 4191

/** Takes from a Pod what is needed of it. */
export function readVizPod(object: PodObject): VizPod {
  const { metadata, spec = {}, status = {} } = object
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])]
  const proxy = containers.find(({ name }) => name === proxyContainerName)
  const podLabels = metadata.labels ?? {}
  const isMeshed = proxy !== undefined && podLabels[labels.controlPlaneNamespace] !== undefined
  const hasEnded = status.phase === 'Succeeded' || status.phase === 'Failed'
  const isReachable = isMeshed && !hasEnded && status.podIP !== undefined && status.podIP !== ''
  return {
    uid: metadata.uid ?? `${metadata.namespace ?? ''}/${metadata.name}`,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    labels: podLabels,
    serviceAccount: spec.serviceAccountName ?? 'default',
    owners: ownersOf(object),
    status: statusOf(object),
    hasEnded,
    isMeshed,
    ...(isReachable ? { metricsAddress: { host: status.podIP ?? '', port: adminPortOf(proxy) } } : {}),
  }
}

function adminPortOf(proxy: Container): number {
  return proxy.ports?.find(({ name }) => name === 'linkerd-admin')?.containerPort ?? defaultAdminPort
}

function ownersOf({ metadata }: PodObject): Partial<Record<WorkloadKind, string>> {
  const podLabels = metadata.labels ?? {}
  const owners: Partial<Record<WorkloadKind, string>> = {}
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
  const kind = workloadKinds.find((candidate) => candidate === owner?.kind.toLowerCase())
  if (owner !== undefined && kind !== undefined) owners[kind] = owner.name
  const hash = podLabels['pod-template-hash']
  // Deployments name their ReplicaSets so, and only they set the label; it spares a watch on ReplicaSets.
  if (kind === 'replicaset' && hash !== undefined && owner?.name.endsWith(`-${hash}`)) {
    owners.deployment = owner.name.slice(0, -hash.length - 1)
  }
  for (const workload of workloadKinds) {
    const labelled = podLabels[`linkerd.io/proxy-${workload}`]
    if (labelled !== undefined) owners[workload] ??= labelled
  }
  return owners
}

function statusOf({ metadata, status = {} }: PodObject): string {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (status.reason !== undefined && status.reason !== '') return status.reason
  for (const { state } of status.containerStatuses ?? []) {
    const reason = state?.waiting?.reason ?? state?.terminated?.reason
    if (reason !== undefined && reason !== '') return reason
  }
  return status.phase ?? 'Unknown'
}
