import type { MeshConfig } from '../cluster/config.ts'
import type { EndpointSlice, SliceEndpoint } from '../cluster/endpoint-slice.ts'
import { identityName } from '../cluster/identity.ts'
import { parseIp } from '../cluster/ip.ts'
import { isPodPortOpaque, isPortSkipped } from '../cluster/opaque.ts'
import { isMeshed, type Pod } from '../cluster/pod.ts'
import type { Server } from '../cluster/server.ts'
import type { Service } from '../cluster/service.ts'

/** One address that traffic can be sent to, and how. */
export interface Endpoint {
  /** Canonical text. */
  ip: string
  port: number
  labels: Readonly<Record<string, string>>
  pod?: { namespace: string; name: string }
  /** Whom to expect there; absent where no proxy of this mesh is. */
  identity?: string
  /** What its proxy understands. */
  protocol?: 'h2' | 'opaque'
  /** Its proxy takes connections with a transport header on this port. */
  transportPort?: number
  /** The name that requests must be sent with. */
  authorityOverride?: string
}

/** What is known around a pod when its endpoint is described. */
export interface PodSurroundings {
  /** The workload that it belongs to, behind ReplicaSets and Jobs. */
  owner?: { kind: string; name: string }
  /** The Server that selects the port. */
  server?: Server
  zone?: string
  clientZone?: string
}

/** The endpoint of a pod's port. */
export function describePodEndpoint(
  pod: Pod,
  ip: string,
  port: number,
  around: PodSurroundings,
  config: MeshConfig,
): Endpoint {
  const endpoint: Endpoint = {
    ip,
    port,
    labels: podLabels(pod, around),
    pod: { namespace: pod.namespace, name: pod.name },
  }
  return { ...endpoint, ...meshParameters(pod, port, around.server, config) }
}

function meshParameters(
  pod: Pod,
  port: number,
  server: Server | undefined,
  config: MeshConfig,
): Pick<Endpoint, 'identity' | 'protocol' | 'transportPort'> {
  const { proxy } = pod
  if (proxy === undefined || !isMeshed(pod, config.controlPlaneNamespace)) return {}
  // The proxy's own ports are not redirected to it, so nobody would answer a handshake there.
  if (port === proxy.adminPort || port === proxy.controlPort) return {}
  if (isPortSkipped(pod, port, config.defaultSkipInboundPorts)) return {}
  const isOpaque = isPodPortOpaque(pod, port, server, config.defaultOpaquePorts)
  return {
    identity: identityName(pod.serviceAccount, pod.namespace, config),
    transportPort: proxy.inboundPort,
    ...(isOpaque ? { protocol: 'opaque' } : config.isH2UpgradeEnabled ? { protocol: 'h2' } : {}),
  }
}

function podLabels(pod: Pod, around: PodSurroundings): Record<string, string> {
  const labels: Record<string, string> = { pod: pod.name, serviceaccount: pod.serviceAccount }
  if (around.owner !== undefined) labels[around.owner.kind.toLowerCase()] = around.owner.name
  const controlPlane = pod.labels['linkerd.io/control-plane-ns']
  if (controlPlane !== undefined) labels.control_plane_ns = controlPlane
  const hash = pod.labels['pod-template-hash']
  if (hash !== undefined) labels.pod_template_hash = hash
  return { ...labels, ...zoneLabels(around.zone, around.clientZone) }
}

function zoneLabels(zone: string | undefined, clientZone: string | undefined): Record<string, string> {
  if (zone === undefined) return { zone_locality: 'unknown' }
  if (clientZone === undefined) return { zone, zone_locality: 'unknown' }
  return { zone, zone_locality: zone === clientZone ? 'local' : 'remote' }
}

/** An address that no pod is behind: written by hand, or a multicluster gateway. */
export function describeBareEndpoint(
  slice: EndpointSlice,
  ip: string,
  ports: { target: number; service: number },
  config: MeshConfig,
): Endpoint {
  const port = ports.target
  if (slice.gatewayIdentity === undefined) return { ip, port, labels: {} }
  return {
    ip,
    port,
    labels: {},
    identity: slice.gatewayIdentity,
    transportPort: port,
    ...(config.isH2UpgradeEnabled ? { protocol: 'h2' } : {}),
    ...(slice.remoteName === undefined ? {} : { authorityOverride: `${slice.remoteName}:${ports.service}` }),
  }
}

/**
 * The port of a slice's pods that a Service's port leads to; undefined when it leads nowhere. A headless Service's
 * pods can be reached on ports that it does not declare.
 */
export function targetPort(service: Service, slice: EndpointSlice, port: number): number | undefined {
  const declared = service.ports.find(({ number }) => number === port)
  if (declared === undefined) return service.isHeadless ? port : undefined
  const target = slice.ports.find(({ name }) => name === declared.name)
  if (target !== undefined) return target.number
  if (slice.ports.length > 0) return undefined
  return typeof declared.target === 'number' ? declared.target : undefined
}

/** Whether a dual-stack pod is reached by another of its addresses, so that it does not count twice. */
export function isSecondaryAddress(ip: string, pod: Pod, service: Service, config: MeshConfig): boolean {
  const family = parseIp(ip)?.family
  const preferred = config.isIpv6Enabled ? service.primaryFamily : 4
  if (family === preferred) return false
  return pod.ips.some((other) => parseIp(other)?.family === preferred)
}

/** Whether a slice's entry still speaks of the pod of that name: not of an earlier one, nor of one that has ended. */
export function isCurrent(endpoint: SliceEndpoint, pod: Pod): boolean {
  return !pod.hasEnded && (pod.ips.length === 0 || pod.ips.includes(endpoint.ip))
}
