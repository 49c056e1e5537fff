import type { ConnectRouter } from '@connectrpc/connect'
import { Destination } from '../../proto/gen/io/linkerd/proxy/destination_pb.js'
import type { MeshConfig } from '../cluster/config.ts'
import { parseIpNetworks } from '../cluster/ip.ts'
import { parsePortSet } from '../cluster/port-set.ts'
import { ClusterState } from '../cluster/state.ts'
import { watchCluster } from '../cluster/watch.ts'
import type { ControllerDeps } from '../deps.ts'
import type { FlagDefinition } from '../flags.ts'
import { startGrpcServer } from '../grpc.ts'
import { parseListenAddress } from '../server.ts'
import { Discovery } from './discovery.ts'
import { Profiles } from './profile.ts'
import { destinationService } from './serve.ts'
import { StreamMetrics } from './stream-metrics.ts'

const inboundPolicies = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
]

const flag = (value: string, description: string): FlagDefinition => ({ default: value, description })
const switchFlag = (value: string, description: string): FlagDefinition => ({
  ...flag(value, description),
  problem: (text) => (text === 'true' || text === 'false' ? undefined : 'it is true or false'),
})

/** Flags of the destination controller. */
export const flags: Record<string, FlagDefinition> = {
  addr: flag(':8086', 'Where discovery is served'),
  'policy-addr': flag(':8090', 'Where policy is served'),
  'default-opaque-ports': flag(
    '25,587,3306,4444,5432,6379,9300,11211',
    'Ports whose protocol is not detected, unless an annotation says otherwise',
  ),
  'default-skip-inbound-ports': flag(
    '4567,4568',
    'Ports that bypass the proxy, unless an annotation says otherwise',
  ),
  'default-inbound-policy': {
    ...flag('all-unauthenticated', inboundPolicies.join(', ')),
    problem: (value) =>
      inboundPolicies.includes(value) ? undefined : `it is one of ${inboundPolicies.join(', ')}`,
  },
  'probe-networks': flag('0.0.0.0/0,::/0', 'Where HTTP probes may come from'),
  'enable-h2-upgrade': switchFlag('true', 'Carry HTTP/1 between proxies in HTTP/2'),
  'enable-ipv6': switchFlag('true', 'Use IPv6 endpoints'),
}

/** Serves discovery and policy until the signal aborts. */
export async function run(deps: ControllerDeps): Promise<void> {
  const { logger, signal, metrics, clock } = deps
  const config = readConfig(deps)
  const state = new ClusterState()
  const guard = deps.ready('cluster')
  const listed = watchCluster(state, { kube: deps.kube, clock, logger, signal })
  listed.then(
    () => {
      guard.ready()
      logger.info({ pods: state.pods.size, services: state.services.size }, 'the cluster is known')
    },
    () => {},
  )
  const synced = (ended: AbortSignal) => untilEither(listed, ended)

  const discovery = new Discovery(state, config)
  const profiles = new Profiles(state, config, discovery)
  const streams = new StreamMetrics(metrics)
  const routes = (router: ConnectRouter) => {
    router.service(
      Destination,
      destinationService({ discovery, profiles, wakeups: state.wakeups, config, metrics: streams, synced }),
    )
  }
  const address = parseListenAddress(deps.options.addr ?? '')
  const server = await startGrpcServer({ address, routes, metrics, clock })
  logger.info({ addr: server.address }, 'serving discovery')
  await untilAborted(signal)
  await server.close()
}

function readConfig({ flags: common, options }: ControllerDeps): MeshConfig {
  return {
    controlPlaneNamespace: common.controllerNamespace,
    clusterDomain: common.clusterDomain,
    trustDomain: common.identityTrustDomain,
    clusterNetworks: parseIpNetworks(common.clusterNetworks),
    defaultOpaquePorts: parsePortSet(options['default-opaque-ports'] ?? ''),
    defaultSkipInboundPorts: parsePortSet(options['default-skip-inbound-ports'] ?? ''),
    defaultInboundPolicy: options['default-inbound-policy'] ?? '',
    probeNetworks: parseIpNetworks(options['probe-networks'] ?? ''),
    isH2UpgradeEnabled: options['enable-h2-upgrade'] === 'true',
    isIpv6Enabled: options['enable-ipv6'] === 'true',
  }
}

/** Waits for the work, or ends without it when the signal aborts. */
function untilEither(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return Promise.race([work, untilAborted(signal)])
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
