import type { KubeObject, OwnerReference } from '../../kube/types.ts'
import {
  configAnnotationPrefix,
  labels,
  proxyContainerName,
  redirectContainerName,
} from '../../shared/labels.ts'
import { canonicalIp } from './ip.ts'

/** The fields of `core/v1` Pod that are read. */
export interface PodObject extends KubeObject {
  spec?: {
    nodeName?: string
    hostNetwork?: boolean
    serviceAccountName?: string
    containers?: Container[]
    initContainers?: Container[]
  }
  status?: {
    phase?: string
    podIP?: string
    podIPs?: { ip: string }[]
    hostIP?: string
    hostIPs?: { ip: string }[]
  }
}

interface Container {
  name: string
  args?: string[]
  ports?: { name?: string; containerPort: number; hostPort?: number; hostIP?: string; protocol?: string }[]
  env?: { name: string; value?: string }[]
  livenessProbe?: Probe
  readinessProbe?: Probe
  startupProbe?: Probe
}

interface Probe {
  httpGet?: { path?: string; port: number | string }
}

/** A declared TCP port of a pod. */
export interface PodPort {
  name?: string
  number: number
  hostPort?: number
  /** Of the host, when the port is bound to one address only. */
  hostIp?: string
}

/** What the proxy of a pod was told when it was injected. */
export interface PodProxy {
  inboundPort: number
  adminPort: number
  controlPort: number
  /** Policy of ports without a Server. */
  defaultInboundPolicy?: string
  /** Ports that refuse clients without an identity. */
  requireIdentityPorts?: string
}

/** A pod, without what nobody reads. */
export interface Pod {
  namespace: string
  name: string
  /** Canonical texts; both families of a dual-stack pod. Empty until it has one. */
  ips: readonly string[]
  hostIps: readonly string[]
  /** It shares the addresses of its node. */
  isOnHostNetwork: boolean
  isRunning: boolean
  /** Its containers ran to their end; its address may already be another's. */
  hasEnded: boolean
  node?: string
  serviceAccount: string
  labels: Readonly<Record<string, string>>
  owner?: { kind: string; name: string }
  ports: readonly PodPort[]
  /** Text of `config.linkerd.io/opaque-ports`; empty text means none, unlike a missing annotation. */
  opaquePorts?: string
  /** Text of `config.linkerd.io/skip-inbound-ports`. */
  skipInboundPorts?: string
  /** The ports that its redirect rules leave alone, as its init container was told. */
  redirectIgnoresPorts?: string
  /** Text of `config.linkerd.io/default-inbound-policy`. */
  defaultInboundPolicy?: string
  /** Set when a proxy container is in the pod. */
  proxy?: PodProxy
  /** HTTP probes: which port, which path. */
  probes: readonly { port: number; path: string }[]
}

const proxyDefaults = { inboundPort: 4143, adminPort: 4191, controlPort: 4190 } as const

/** Takes from a Pod what is needed of it. */
export function readPod(object: PodObject): Pod {
  const { metadata, spec = {}, status = {} } = object
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])]
  const proxyContainer = containers.find((container) => container.name === proxyContainerName)
  const podAnnotations = metadata.annotations ?? {}
  const owner = ownerOf(metadata.ownerReferences)
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    ips: canonicalIps([status.podIP, ...(status.podIPs ?? []).map(({ ip }) => ip)]),
    hostIps: canonicalIps([status.hostIP, ...(status.hostIPs ?? []).map(({ ip }) => ip)]),
    isOnHostNetwork: spec.hostNetwork === true,
    isRunning: status.phase === 'Running',
    hasEnded: status.phase === 'Succeeded' || status.phase === 'Failed',
    serviceAccount: spec.serviceAccountName ?? 'default',
    labels: metadata.labels ?? {},
    ports: containers.filter((container) => container !== proxyContainer).flatMap(portsOf),
    probes: containers.filter((container) => container !== proxyContainer).flatMap(probesOf),
    ...defined('node', spec.nodeName),
    ...defined('owner', owner),
    ...defined('opaquePorts', podAnnotations[`${configAnnotationPrefix}opaque-ports`]),
    ...defined('skipInboundPorts', podAnnotations[`${configAnnotationPrefix}skip-inbound-ports`]),
    ...defined('redirectIgnoresPorts', ignoredPorts(containers)),
    ...defined('defaultInboundPolicy', podAnnotations[`${configAnnotationPrefix}default-inbound-policy`]),
    ...defined('proxy', proxyContainer === undefined ? undefined : readProxy(proxyContainer)),
  }
}

/** Whether a proxy of this control plane stands in the pod. */
export function isMeshed(pod: Pod, controlPlaneNamespace: string): boolean {
  return pod.proxy !== undefined && pod.labels[labels.controlPlaneNamespace] === controlPlaneNamespace
}

function ignoredPorts(containers: Container[]): string | undefined {
  const args = containers.find(({ name }) => name === redirectContainerName)?.args ?? []
  const flag = '--inbound-ports-to-ignore'
  const joined = args.find((arg) => arg.startsWith(`${flag}=`))
  if (joined !== undefined) return joined.slice(flag.length + 1)
  const place = args.indexOf(flag)
  return place === -1 ? undefined : args[place + 1]
}

function readProxy(container: Container): PodProxy {
  const value = (name: string) =>
    container.env?.find((variable) => variable.name === `LINKERD2_PROXY_${name}`)?.value
  return {
    inboundPort: portOf(value('INBOUND_LISTEN_ADDR')) ?? proxyDefaults.inboundPort,
    adminPort: portOf(value('ADMIN_LISTEN_ADDR')) ?? proxyDefaults.adminPort,
    controlPort: portOf(value('CONTROL_LISTEN_ADDR')) ?? proxyDefaults.controlPort,
    ...defined('defaultInboundPolicy', value('INBOUND_DEFAULT_POLICY')),
    ...defined('requireIdentityPorts', value('INBOUND_PORTS_REQUIRE_IDENTITY')),
  }
}

/** The port of `0.0.0.0:4143` or `[::]:4143`. */
function portOf(listenAddress: string | undefined): number | undefined {
  const digits = /:(\d{1,5})$/.exec(listenAddress ?? '')?.[1]
  return digits === undefined || Number(digits) > 65535 ? undefined : Number(digits)
}

function portsOf(container: Container): PodPort[] {
  return (container.ports ?? [])
    .filter(({ protocol = 'TCP' }) => protocol === 'TCP')
    .map(({ name, containerPort, hostPort, hostIP }) => ({
      number: containerPort,
      ...defined('name', name),
      ...(hostPort === undefined || hostPort === 0 ? {} : { hostPort }),
      ...(hostIP === undefined || hostIP === '' || hostIP === '0.0.0.0' ? {} : { hostIp: hostIP }),
    }))
}

function probesOf(container: Container): { port: number; path: string }[] {
  const probes = [container.livenessProbe, container.readinessProbe, container.startupProbe]
  return probes.flatMap((probe) => {
    if (probe?.httpGet === undefined) return []
    const port = probePort(container, probe.httpGet.port)
    if (port === undefined) return []
    const path = (probe.httpGet.path ?? '/').replace(/[?#].*$/, '')
    return [{ port, path: path.startsWith('/') ? path : `/${path}` }]
  })
}

function probePort(container: Container, port: number | string): number | undefined {
  if (typeof port === 'number') return port
  if (/^\d+$/.test(port)) return Number(port)
  return container.ports?.find(({ name }) => name === port)?.containerPort
}

function ownerOf(references: OwnerReference[] | undefined): { kind: string; name: string } | undefined {
  const owner = references?.find(({ controller }) => controller === true)
  return owner === undefined ? undefined : { kind: owner.kind, name: owner.name }
}

function canonicalIps(texts: (string | undefined)[]): string[] {
  return [...new Set(texts.flatMap((text) => (text === undefined ? [] : (canonicalIp(text) ?? []))))]
}

/** An object with the key, or without it when there is no value. */
export function defined<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
}
