import { Destination } from '../../proto/gen/io/linkerd/proxy/destination_pb.js'
import type { RunningServer } from '../admin.ts'
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
  const { discovery } = await startServers(deps)
  deps.logger.info({ discovery: discovery.address }, 'serving')
  await untilAborted(deps.signal)
  await discovery.close()
}

/**
 * Starts the watches and the servers. Calls are answered once the cluster was listed; until then they wait.
 * @throws MeshError `MESH_CONTROLLER_ADDRESS`, `MESH_CONTROLLER_LISTEN`
 */
export async function startServers(deps: ControllerDeps): Promise<{ discovery: RunningServer }> {
  const { metrics, clock, options } = deps
  const config = readConfig(deps)
  const state = new ClusterState()
  const synced = watchUntilSynced(state, deps)
  const discovery = new Discovery(state, config)
  const services = {
    discovery,
    profiles: new Profiles(state, config, discovery),
    wakeups: state.wakeups,
    config,
    metrics: new StreamMetrics(metrics),
    synced,
  }
  return {
    discovery: await startGrpcServer({
      address: parseListenAddress(options.addr ?? ''),
      routes: (router) => router.service(Destination, destinationService(services)),
      metrics,
      clock,
    }),
  }
}

/** Starts the watches, and gives what waits for them, or for the end of a stream. */
function watchUntilSynced(state: ClusterState, deps: ControllerDeps): (ended: AbortSignal) => Promise<void> {
  const { kube, clock, logger, signal } = deps
  const guard = deps.ready('cluster')
  const listed = watchCluster(state, { kube, clock, logger, signal }).then(
    () => {
      guard.ready()
      logger.info({ pods: state.pods.size, services: state.services.size }, 'the cluster is known')
    },
    // The watches end only because the controller stops.
    () => {},
  )
  return (ended) => Promise.race([listed, untilAborted(ended)])
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

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
