import { parse } from 'yaml'
import type { MeshConfig } from '../../src/runtime/control/cluster/config.ts'
import { parseIpNetworks } from '../../src/runtime/control/cluster/ip.ts'
import { readPod } from '../../src/runtime/control/cluster/pod.ts'
import { parsePortSet } from '../../src/runtime/control/cluster/port-set.ts'
import type { Computed, Observer } from '../../src/runtime/control/cluster/reactive.ts'
import { readServer } from '../../src/runtime/control/cluster/server.ts'
import { readService } from '../../src/runtime/control/cluster/service.ts'
import { ClusterState } from '../../src/runtime/control/cluster/state.ts'
import {
  readMeshTlsAuthentication,
  readNetworkAuthentication,
} from '../../src/runtime/control/policy/authentication.ts'
import {
  type Authorization,
  readAuthorizationPolicy,
} from '../../src/runtime/control/policy/authorization.ts'
import { readEgressNetwork } from '../../src/runtime/control/policy/egress-network.ts'
import { InboundPolicies, type InboundPolicy } from '../../src/runtime/control/policy/inbound.ts'
import { OutboundPolicies, type OutboundResult } from '../../src/runtime/control/policy/outbound.ts'
import type { OutboundPolicy } from '../../src/runtime/control/policy/outbound-policy.ts'
import { readRateLimit } from '../../src/runtime/control/policy/rate-limit.ts'
import { readGrpcRoute, readHttpRoute } from '../../src/runtime/control/policy/route/route.ts'
import { readServerAuthorization } from '../../src/runtime/control/policy/server-authorization.ts'
import { PolicyState, routeId } from '../../src/runtime/control/policy/state.ts'
import { readTrafficSplit } from '../../src/runtime/control/policy/traffic-split.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import type { Manifest } from './cluster-objects.ts'

export const meshConfig: MeshConfig = {
  controlPlaneNamespace: 'linkerd',
  clusterDomain: 'cluster.local',
  trustDomain: 'cluster.local',
  clusterNetworks: parseIpNetworks('10.0.0.0/8'),
  defaultOpaquePorts: parsePortSet('3306'),
  defaultSkipInboundPorts: parsePortSet('4567'),
  defaultInboundPolicy: 'all-unauthenticated',
  probeNetworks: parseIpNetworks('0.0.0.0/0,::/0'),
  isH2UpgradeEnabled: true,
  isIpv6Enabled: true,
}

/** Reads without wanting to hear of changes. */
export const nobody: Observer = { depend: () => {}, invalidate: () => {} }

type Put = (world: World, id: string, object: Manifest) => void

/** How each kind of manifest comes into the state. */
const puts: Record<string, Put> = {
  'v1/Pod': ({ cluster }, id, object) => cluster.pods.set(id, readPod(object)),
  'v1/Service': ({ cluster }, id, object) => cluster.services.set(id, readService(object)),
  'policy.linkerd.io/Server': ({ cluster }, id, object) => cluster.servers.set(id, readServer(object)),
  'policy.linkerd.io/AuthorizationPolicy': ({ policies }, id, object) =>
    policies.authorizationPolicies.set(id, readAuthorizationPolicy(object)),
  'policy.linkerd.io/MeshTLSAuthentication': ({ policies }, id, object) =>
    policies.meshTlsAuthentications.set(id, readMeshTlsAuthentication(object, meshConfig)),
  'policy.linkerd.io/NetworkAuthentication': ({ policies }, id, object) =>
    policies.networkAuthentications.set(id, readNetworkAuthentication(object)),
  'policy.linkerd.io/HTTPRoute': ({ policies }, id, object) =>
    policies.httpRoutes.set(
      routeId('policy.linkerd.io', id),
      readHttpRoute(object as KubeObject, 'policy.linkerd.io'),
    ),
  'gateway.networking.k8s.io/HTTPRoute': ({ policies }, id, object) =>
    policies.httpRoutes.set(
      routeId('gateway.networking.k8s.io', id),
      readHttpRoute(object as KubeObject, 'gateway.networking.k8s.io'),
    ),
  'gateway.networking.k8s.io/GRPCRoute': ({ policies }, id, object) =>
    policies.grpcRoutes.set(
      routeId('gateway.networking.k8s.io', id),
      readGrpcRoute(object as KubeObject, 'gateway.networking.k8s.io'),
    ),
  'policy.linkerd.io/ServerAuthorization': ({ policies }, id, object) =>
    policies.serverAuthorizations.set(id, readServerAuthorization(object, meshConfig)),
  'policy.linkerd.io/HTTPLocalRateLimitPolicy': ({ policies }, id, object) =>
    policies.rateLimits.set(id, readRateLimit(object, meshConfig)),
  'policy.linkerd.io/EgressNetwork': ({ policies }, id, object) =>
    policies.egressNetworks.set(id, readEgressNetwork(object, meshConfig)),
  'split.smi-spec.io/TrafficSplit': ({ policies }, id, object) =>
    policies.trafficSplits.set(id, readTrafficSplit(object)),
}

/** A cluster and its policies, without an API. */
export class World {
  readonly cluster = new ClusterState()
  readonly policies = new PolicyState()
  readonly inbound = new InboundPolicies(this.cluster, this.policies, meshConfig)
  readonly outbound = new OutboundPolicies(this.cluster, this.policies, meshConfig)

  /** Puts manifests there, written as YAML documents are; the namespace is `shop` where there is none. */
  apply(...texts: string[]): this {
    for (const text of texts.flatMap((each) => each.split(/^---$/m))) this.put(parse(text) as Manifest)
    return this
  }

  put(...objects: Manifest[]): this {
    for (const object of objects) {
      object.metadata.namespace ??= 'shop'
      const { namespace, name } = object.metadata
      const group = object.apiVersion?.includes('/') ? object.apiVersion.split('/')[0] : object.apiVersion
      const put = puts[`${group}/${object.kind}`]
      if (put === undefined) throw new Error(`there is no way to put ${object.apiVersion} ${object.kind}`)
      put(this, `${namespace}/${name}`, object)
    }
    return this
  }

  /** The policy of a pod's port. */
  at(pod: string, port: number): InboundPolicy {
    const policy = value(this.inbound.of({ namespace: 'shop', pod, port }))
    if (policy === undefined) throw new Error(`there is no pod ${pod}`)
    return policy
  }

  /** The policy towards an address, or why there is none. */
  towardsAddress(ip: string, port: number, source = 'shop'): OutboundResult {
    return value(this.outbound.of({ target: { kind: 'address', ip, port }, source }))
  }

  /** The policy towards a Service's port. */
  towards(name: string, port: number, source = 'shop', namespace = 'shop'): OutboundPolicy {
    const target = { kind: 'service' as const, namespace, name, port }
    const result = value(this.outbound.of({ target, source }))
    if (result.kind !== 'policy') throw new Error(`a policy was expected, not ${result.kind}`)
    return result.policy
  }
}

/** The names of what admits somebody. */
export function namesOf(authorizations: readonly Authorization[]): string[] {
  return authorizations.map(({ meta }) => meta.name)
}

/** The value of now. */
export function value<T>(computed: Computed<T>): T {
  return computed.read(nobody)
}
