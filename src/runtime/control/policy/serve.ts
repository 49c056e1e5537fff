import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect'
import type { InboundServerPolicies, PortSpec } from '../../proto/gen/io/linkerd/proxy/inbound_pb.js'
import type {
  OutboundPolicies as OutboundPoliciesService,
  OutboundPolicy,
  TrafficSpec,
} from '../../proto/gen/io/linkerd/proxy/outbound_pb.js'
import { parseServiceAuthority } from '../cluster/authority.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { formatIp, ipFromWire } from '../cluster/ip.ts'
import { type Computed, latest, type Wakeups } from '../cluster/reactive.ts'
import type { InboundPolicies, InboundQuery } from './inbound.ts'
import { inboundServer } from './inbound-wire.ts'
import type { OutboundPolicies, OutboundQuery, OutboundResult, OutboundTarget } from './outbound.ts'
import { outboundPolicy } from './outbound-wire.ts'
import { parseWorkload, type Workload } from './workload.ts'

export interface PolicyDeps {
  inbound: InboundPolicies
  outbound: OutboundPolicies
  wakeups: Wakeups
  config: MeshConfig
  /** Settles when the cluster and its policies have been listed; nothing is answered before. */
  synced: (signal: AbortSignal) => Promise<void>
}

/** Serves the policy of ports. */
export function inboundService(deps: PolicyDeps): ServiceImpl<typeof InboundServerPolicies> {
  return {
    async getPort(request, { signal }) {
      const query = inboundQuery(request)
      await deps.synced(signal)
      const policy = await current(deps.inbound.of(query), deps.wakeups)
      if (policy === undefined) throw unknownPod(query)
      return inboundServer(policy)
    },
    async *watchPort(request, { signal }) {
      const query = inboundQuery(request)
      await deps.synced(signal)
      let isFirst = true
      for await (const policy of latest(deps.inbound.of(query), deps.wakeups, signal)) {
        if (policy === undefined && isFirst) throw unknownPod(query)
        isFirst = false
        // The last policy of a pod that is gone stays with its proxy until that ends too.
        if (policy !== undefined) yield inboundServer(policy)
      }
    },
  }
}

/** Serves the policy towards targets. */
export function outboundService(deps: PolicyDeps): ServiceImpl<typeof OutboundPoliciesService> {
  return {
    async get(request, { signal }) {
      const query = outboundQuery(request, deps.config)
      await deps.synced(signal)
      return answer(await current(deps.outbound.of(query), deps.wakeups))
    },
    async *watch(request, { signal }) {
      const query = outboundQuery(request, deps.config)
      await deps.synced(signal)
      for await (const result of latest(deps.outbound.of(query), deps.wakeups, signal)) yield answer(result)
    },
  }
}

/** The value of now, without staying subscribed. */
async function current<T>(computed: Computed<T>, wakeups: Wakeups): Promise<T> {
  for await (const value of latest(computed, wakeups, new AbortController().signal)) return value
  throw new ConnectError('no value', Code.Internal)
}

function answer(result: OutboundResult): OutboundPolicy {
  switch (result.kind) {
    case 'policy':
      return outboundPolicy(result.policy)
    case 'unknown':
      throw new ConnectError(result.reason, Code.NotFound)
    case 'external-name':
      throw new ConnectError('an ExternalName Service has no policy', Code.InvalidArgument)
  }
}

function inboundQuery(request: PortSpec): InboundQuery {
  const { namespace, pod } = workloadOf(request.workload)
  if (pod === undefined) throw unknownPod({ namespace, pod: request.workload })
  if (request.port < 1 || request.port > 65_535) {
    throw new ConnectError(`${request.port} is not a port`, Code.InvalidArgument)
  }
  return { namespace, pod, port: request.port }
}

function outboundQuery(request: TrafficSpec, config: MeshConfig): OutboundQuery {
  return { target: targetOf(request, config), source: workloadOf(request.sourceWorkload).namespace }
}

function targetOf({ target }: TrafficSpec, config: MeshConfig): OutboundTarget {
  switch (target.case) {
    case 'addr': {
      const ip = ipFromWire(target.value.ip)
      const { port } = target.value
      if (ip === undefined || port < 1 || port > 65_535) {
        throw new ConnectError('the target is not an address and a port', Code.InvalidArgument)
      }
      return { kind: 'address', ip: formatIp(ip), port }
    }
    case 'authority': {
      const parsed = parseServiceAuthority(target.value, config.clusterDomain)
      if (parsed.kind === 'malformed') throw new ConnectError(parsed.reason, Code.InvalidArgument)
      return parsed
    }
    case undefined:
      throw new ConnectError('there is no target', Code.InvalidArgument)
  }
}

function workloadOf(text: string): Workload {
  const workload = parseWorkload(text)
  if (workload !== undefined) return workload
  throw new ConnectError(
    `"${text}" is not a workload; it is JSON {"ns", "pod"} or NAMESPACE:POD`,
    Code.InvalidArgument,
  )
}

function unknownPod({ namespace, pod }: { namespace: string; pod: string }): ConnectError {
  return new ConnectError(`there is no meshed pod ${namespace}/${pod}`, Code.NotFound)
}
