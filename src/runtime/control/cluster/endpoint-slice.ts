import type { KubeObject } from '../../kube/types.ts'
import { canonicalIp } from './ip.ts'
import { defined } from './pod.ts'

/** The fields of `discovery.k8s.io/v1` EndpointSlice that are read. */
export interface EndpointSliceObject extends KubeObject {
  addressType?: string
  ports?: { name?: string | null; port?: number | null; protocol?: string | null }[] | null
  endpoints?:
    | {
        addresses: string[]
        conditions?: { ready?: boolean | null }
        hostname?: string | null
        nodeName?: string | null
        zone?: string | null
        targetRef?: { kind?: string; name?: string; namespace?: string }
        hints?: { forZones?: { name: string }[] | null }
      }[]
    | null
}

/** A ready endpoint of a slice. */
export interface SliceEndpoint {
  /** Canonical text. */
  ip: string
  hostname?: string
  node?: string
  zone?: string
  /** Namespace and name of its pod. */
  pod?: { namespace: string; name: string }
  /** Zones whose clients should use it. */
  hintedZones?: readonly string[]
}

/** An EndpointSlice: its ready endpoints. */
export interface EndpointSlice {
  namespace: string
  name: string
  /** Name of its Service; empty when it belongs to none. */
  service: string
  /** By name; empty when the slice restricts nothing. */
  ports: readonly { name: string; number: number }[]
  endpoints: readonly SliceEndpoint[]
  /** Whether every ready endpoint has a hint. */
  isHinted: boolean
  /** Identity and name of the far service, where a multicluster gateway stands for it. */
  gatewayIdentity?: string
  remoteName?: string
}

/** Takes from an EndpointSlice what is needed of it. Slices of host names have no endpoints. */
export function readEndpointSlice(object: EndpointSliceObject): EndpointSlice {
  const { metadata } = object
  const endpoints = (object.endpoints ?? []).flatMap((endpoint) => {
    const ip = canonicalIp(endpoint.addresses[0] ?? '')
    // An unknown condition counts as ready (EndpointConditions of discovery.k8s.io/v1).
    if (ip === undefined || endpoint.conditions?.ready === false) return []
    return [readEndpoint(ip, endpoint, metadata.namespace ?? '')]
  })
  const annotations = metadata.annotations ?? {}
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    service: metadata.labels?.['kubernetes.io/service-name'] ?? '',
    ports: (object.ports ?? []).flatMap(({ name, port, protocol }) =>
      port === undefined || port === null || (protocol ?? 'TCP') !== 'TCP'
        ? []
        : [{ name: name ?? '', number: port }],
    ),
    endpoints,
    isHinted: endpoints.every(({ hintedZones }) => hintedZones !== undefined),
    ...defined('gatewayIdentity', annotations['mirror.linkerd.io/remote-gateway-identity']),
    ...defined('remoteName', annotations['mirror.linkerd.io/remote-svc-fq-name']),
  }
}

function readEndpoint(
  ip: string,
  endpoint: NonNullable<EndpointSliceObject['endpoints']>[number],
  namespace: string,
): SliceEndpoint {
  const target = endpoint.targetRef
  const zones = endpoint.hints?.forZones?.map(({ name }) => name)
  return {
    ip,
    ...defined('hostname', endpoint.hostname ?? undefined),
    ...defined('node', endpoint.nodeName ?? undefined),
    ...defined('zone', endpoint.zone ?? undefined),
    ...defined('hintedZones', zones === undefined || zones.length === 0 ? undefined : zones),
    ...(target?.kind === 'Pod' && target.name !== undefined
      ? { pod: { namespace: target.namespace ?? namespace, name: target.name } }
      : {}),
  }
}
