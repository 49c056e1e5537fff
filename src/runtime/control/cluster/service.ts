import type { KubeObject } from '../../kube/types.ts'
import { configAnnotationPrefix } from '../../shared/labels.ts'
import { canonicalIp } from './ip.ts'
import { defined } from './pod.ts'

/** The fields of `core/v1` Service that are read. */
export interface ServiceObject extends KubeObject {
  spec?: {
    type?: string
    clusterIP?: string
    clusterIPs?: string[]
    ipFamilies?: string[]
    internalTrafficPolicy?: string
    ports?: {
      name?: string
      port: number
      targetPort?: number | string
      protocol?: string
      appProtocol?: string
    }[]
  }
}

export interface ServicePort {
  /** Empty when the Service has one port without a name. It is also the name of the port in its EndpointSlices. */
  name: string
  number: number
  /** A number, or the name of a container port. Equal to `number` when nothing was said. */
  target: number | string
  appProtocol?: string
}

/** A Service, without what nobody reads. */
export interface Service {
  namespace: string
  name: string
  /** Canonical texts. Empty for headless and ExternalName Services. */
  clusterIps: readonly string[]
  isHeadless: boolean
  isExternalName: boolean
  /** Traffic stays on the client's node: `internalTrafficPolicy: Local`. */
  isNodeLocal: boolean
  /** The family that a dual-stack pod is reached by. */
  primaryFamily: 4 | 6
  ports: readonly ServicePort[]
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  /** ms since the epoch. */
  createdMs: number
}

const keptAnnotation = /^(config|retry|timeout|balancer|mirror|multicluster)(\.alpha|\.beta)?\.linkerd\.io\//

/** Takes from a Service what is needed of it. */
export function readService(object: ServiceObject): Service {
  const { metadata, spec = {} } = object
  const isExternalName = spec.type === 'ExternalName'
  const given = [spec.clusterIP, ...(spec.clusterIPs ?? [])]
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    clusterIps: isExternalName
      ? []
      : [...new Set(given.flatMap((ip) => (ip === undefined ? [] : (canonicalIp(ip) ?? []))))],
    isHeadless: !isExternalName && spec.clusterIP === 'None',
    isExternalName,
    isNodeLocal: spec.internalTrafficPolicy === 'Local',
    primaryFamily: spec.ipFamilies?.[0] === 'IPv6' ? 6 : 4,
    ports: (spec.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP').map(readPort),
    labels: metadata.labels ?? {},
    annotations: Object.fromEntries(
      Object.entries(metadata.annotations ?? {}).filter(([key]) => keptAnnotation.test(key)),
    ),
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
  }
}

function readPort(port: {
  name?: string
  port: number
  targetPort?: number | string
  appProtocol?: string
}): ServicePort {
  const target = port.targetPort === undefined || port.targetPort === 0 ? port.port : port.targetPort
  return {
    name: port.name ?? '',
    number: port.port,
    target: typeof target === 'string' && /^\d+$/.test(target) ? Number(target) : target,
    ...defined('appProtocol', port.appProtocol),
  }
}

/** Text of `config.linkerd.io/opaque-ports`. */
export function serviceOpaquePorts(service: Service): string | undefined {
  return service.annotations[`${configAnnotationPrefix}opaque-ports`]
}
