import type { KubeObject } from '../../kube/types.ts'
import { isMeshed, type Pod } from './pod.ts'
import { type LabelSelector, selectorMatches } from './selector.ts'

/** The fields of `policy.linkerd.io` Server that are read. */
export interface ServerObject extends KubeObject {
  spec?: {
    podSelector?: LabelSelector
    port?: number | string
    proxyProtocol?: string
    accessPolicy?: string
  }
}

/** A Server: what arrives on one port of some pods. */
export interface Server {
  namespace: string
  name: string
  /** Absent when it selects no pods but external workloads. */
  podSelector?: LabelSelector
  port: number | string
  proxyProtocol: string
  accessPolicy: string
  labels: Readonly<Record<string, string>>
  createdMs: number
}

export function readServer(object: ServerObject): Server {
  const { metadata, spec = {} } = object
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    port: spec.port ?? 0,
    proxyProtocol: spec.proxyProtocol ?? 'unknown',
    accessPolicy: spec.accessPolicy ?? 'deny',
    labels: metadata.labels ?? {},
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    ...(spec.podSelector === undefined ? {} : { podSelector: spec.podSelector }),
  }
}

/**
 * The Server of a pod's port. When several select it, the oldest decides, then the first by name.
 * @param servers those of the pod's namespace
 */
export function selectServer(
  servers: readonly Server[],
  pod: Pod,
  port: number,
  controlPlaneNamespace: string,
): Server | undefined {
  if (!isMeshed(pod, controlPlaneNamespace)) return undefined
  const matching = servers.filter((server) => selects(server, pod, port))
  return matching.sort(byAge)[0]
}

/** Oldest first, then by name: how every conflict between resources is decided. */
export function byAge(
  left: { createdMs: number; name: string },
  right: { createdMs: number; name: string },
): number {
  return left.createdMs - right.createdMs || (left.name < right.name ? -1 : left.name > right.name ? 1 : 0)
}

function selects(server: Server, pod: Pod, port: number): boolean {
  if (server.podSelector === undefined || !selectorMatches(server.podSelector, pod.labels)) return false
  if (typeof server.port === 'number') return server.port === port
  if (/^\d+$/.test(server.port)) return Number(server.port) === port
  return pod.ports.some(({ name, number }) => name === server.port && number === port)
}
