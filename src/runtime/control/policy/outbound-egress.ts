import { type BackendContext, egressMeta, forwardBackend } from './backends.ts'
import type { EgressNetwork } from './egress-network.ts'
import type { Meta } from './meta.ts'
import type { Distribution, OpaqueRoute, OutboundPolicy } from './outbound-policy.ts'
import { outboundGrpcRoute, outboundHttpRoute } from './outbound-route.ts'
import type { Attached } from './outbound-service.ts'
import { plainRoutes } from './outbound-service.ts'
import type { Filter } from './route/filter.ts'

/** An address outside the cluster that no policy speaks of: detect, and forward. */
export function egressFallback(ip: string, port: number): OutboundPolicy {
  const meta: Meta = { kind: 'default', name: 'egress-fallback' }
  const backends = [{ backend: { meta, kind: 'forward' as const, ip, port } }]
  return { meta, protocol: 'detect', ...plainRoutes({ kind: 'first-available', backends }, {}) }
}

/**
 * The policy towards an address of an EgressNetwork. Its routes come first; what none of them takes is let out, or
 * not, as the network says.
 */
export function egressPolicy(
  network: EgressNetwork,
  attached: Pick<Attached, 'http' | 'grpc'>,
  context: BackendContext & { original: { ip: string; port: number } },
): OutboundPolicy {
  const { failureAccrual, settings } = network
  const backends: Distribution = {
    kind: 'first-available',
    backends: [{ backend: forwardBackend(network, context) }],
  }
  const parent = { backends, settings }
  const grpc = attached.grpc.map((route) => outboundGrpcRoute(route, parent, context))
  const http = attached.http.map((route) => outboundHttpRoute(route, parent, context))
  return {
    meta: egressMeta(network, context.original.port),
    protocol: grpc.length > 0 ? 'grpc' : 'detect',
    httpRoutes: [...http, defaultRoute('http', network, backends, { path: { kind: 'prefix', value: '/' } })],
    ...(grpc.length === 0 ? {} : { grpcRoutes: [...grpc, defaultRoute('grpc', network, backends, {})] }),
    opaqueRoutes: [opaqueRoute(network, backends)],
    ...(failureAccrual === undefined ? {} : { failureAccrual }),
  }
}

/** What happens with requests that no route takes. */
function defaultRoute<M>(
  protocol: 'http' | 'grpc',
  network: EgressNetwork,
  backends: Distribution,
  everything: M,
): { meta: Meta; hosts: []; rules: { matches: M[]; filters: Filter[]; backends: Distribution }[] } {
  const message = `EgressNetwork ${network.namespace}/${network.name} does not let this out`
  const filters: Filter[] = network.isAllowed ? [] : [{ kind: 'failure', status: 403, message }]
  return {
    meta: defaultMeta(protocol, network),
    hosts: [],
    rules: [{ matches: [everything], filters, backends }],
  }
}

function opaqueRoute(network: EgressNetwork, backends: Distribution): OpaqueRoute {
  return {
    meta: defaultMeta('tcp', network),
    rules: [{ backends, filters: network.isAllowed ? [] : [{ kind: 'forbidden' }] }],
  }
}

function defaultMeta(protocol: string, { isAllowed }: EgressNetwork): Meta {
  return { kind: 'default', name: `${protocol}-egress-${isAllowed ? 'allow' : 'deny'}` }
}
