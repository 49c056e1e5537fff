import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { ConnectRouter } from '@connectrpc/connect'
import { resources } from '../../kube/resources.ts'
import { Destination } from '../../proto/gen/io/linkerd/proxy/destination_pb.js'
import { InboundServerPolicies } from '../../proto/gen/io/linkerd/proxy/inbound_pb.js'
import { OutboundPolicies as OutboundPoliciesService } from '../../proto/gen/io/linkerd/proxy/outbound_pb.js'
import type { RunningServer } from '../admin.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { keepKnownKinds } from '../cluster/crd-loss.ts'
import { parseIpNetworks } from '../cluster/ip.ts'
import { parsePortSet } from '../cluster/port-set.ts'
import { ClusterState } from '../cluster/state.ts'
import { watchCluster, watchKind } from '../cluster/watch.ts'
import type { ControllerDeps } from '../deps.ts'
import type { FlagDefinition } from '../flags.ts'
import { startGrpcServer } from '../grpc.ts'
import { type AdmissionSources, admitPolicy, validatorNames } from '../policy/admission/admit.ts'
import { policyModes } from '../policy/authorization.ts'
import { InboundPolicies } from '../policy/inbound.ts'
import { OutboundPolicies } from '../policy/outbound.ts'
import { inboundService, outboundService } from '../policy/serve.ts'
import { PolicyState } from '../policy/state.ts'
import { writeStatuses } from '../policy/status/lead.ts'
import { watchPolicies } from '../policy/watch.ts'
import { parseListenAddress } from '../server.ts'
import { keepCertificate } from '../webhook/certificate.ts'
import { startWebhookServer } from '../webhook/serve.ts'
import { Discovery } from './discovery.ts'
import { Profiles } from './profile.ts'
import { reviewServiceProfile } from './review-profile.ts'
import { destinationService } from './serve.ts'
import { readServiceProfile } from './service-profile.ts'
import { DestinationState } from './state.ts'
import { StreamMetrics } from './stream-metrics.ts'

const flag = (value: string, description: string): FlagDefinition => ({ default: value, description })
const switchFlag = (value: string, description: string): FlagDefinition => ({
  ...flag(value, description),
  problem: (text) => (text === 'true' || text === 'false' ? undefined : 'it is true or false'),
})

/** Flags of the destination controller. */
export const flags: Record<string, FlagDefinition> = {
  addr: flag(':8086', 'Where discovery is served'),
  'policy-addr': flag(':8090', 'Where policy is served'),
  'webhook-addr': flag(':9443', 'Where the validating webhook is served'),
  'default-opaque-ports': flag(
    '25,587,3306,4444,5432,6379,9300,11211',
    'Ports whose protocol is not detected, unless an annotation says otherwise',
  ),
  'default-skip-inbound-ports': flag(
    '4567,4568',
    'Ports that bypass the proxy, unless an annotation says otherwise',
  ),
  'default-inbound-policy': {
    ...flag('all-unauthenticated', policyModes.join(', ')),
    problem: (value) =>
      policyModes.some((mode) => mode === value) ? undefined : `it is one of ${policyModes.join(', ')}`,
  },
  'probe-networks': flag('0.0.0.0/0,::/0', 'Where HTTP probes may come from'),
  'enable-h2-upgrade': switchFlag('true', 'Carry HTTP/1 between proxies in HTTP/2'),
  'enable-ipv6': switchFlag('true', 'Use IPv6 endpoints'),
}

/** The servers of the controller. */
export interface DestinationServers {
  discovery: RunningServer
  policy: RunningServer
  validator: RunningServer
  /** Ends, with everything given back, after the signal aborted. */
  background: Promise<void>
}

/** Serves discovery and policy until the signal aborts. */
export async function run(deps: ControllerDeps): Promise<void> {
  const { discovery, policy, validator, background } = await startServers(deps)
  const addresses = { discovery: discovery.address, policy: policy.address, validator: validator.address }
  deps.logger.info(addresses, 'serving')
  await untilAborted(deps.signal)
  await Promise.all([discovery.close(), policy.close(), validator.close(), background])
}

/**
 * Starts the watches and the servers. Calls are answered once the cluster was listed; until then they wait.
 * @throws MeshError `MESH_CONTROLLER_ADDRESS`, `MESH_CONTROLLER_LISTEN`
 */
export async function startServers(deps: ControllerDeps): Promise<DestinationServers> {
  const { metrics, clock, logger, options } = deps
  // Each watch listens to it.
  setMaxListeners(0, deps.signal)
  const config = readConfig(deps)
  const cluster = new ClusterState()
  const policies = new PolicyState()
  const own = new DestinationState()
  const synced = watchUntilSynced({ cluster, policies, own }, config, deps)
  const { kube, signal } = deps
  const statuses = { kube, clock, logger, metrics, cluster, policies, config, signal, identity: randomUUID() }
  const common = { wakeups: cluster.wakeups, config, synced }
  const discovery = new Discovery(cluster, config)
  const destination = destinationService({
    ...common,
    discovery,
    profiles: new Profiles(cluster, own, config, discovery),
    metrics: new StreamMetrics(metrics),
  })
  const policy = {
    ...common,
    inbound: new InboundPolicies(cluster, policies, config),
    outbound: new OutboundPolicies(cluster, policies, config),
  }
  const serve = (address: string | undefined, routes: (router: ConnectRouter) => void) =>
    startGrpcServer({ address: parseListenAddress(address ?? ''), routes, metrics, clock, logger })
  const validating = await startValidator(deps, synced, { cluster, policies, config, reviewServiceProfile })
  return {
    background: Promise.all([
      synced(signal).then(() => writeStatuses(statuses)),
      validating.certificate,
    ]).then(() => {}),
    validator: validating.server,
    discovery: await serve(options.addr, (router) => router.service(Destination, destination)),
    policy: await serve(options['policy-addr'], (router) =>
      router
        .service(InboundServerPolicies, inboundService(policy))
        .service(OutboundPoliciesService, outboundService(policy)),
    ),
  }
}

/** Starts the validating webhook, and looks after its certificate until the signal aborts. */
async function startValidator(
  { kube, clock, signal, logger, options }: ControllerDeps,
  synced: (ended: AbortSignal) => Promise<void>,
  sources: AdmissionSources,
): Promise<{ server: RunningServer; certificate: Promise<void> }> {
  const address = parseListenAddress(options['webhook-addr'] ?? '')
  const server = await startWebhookServer(address, async (request) => {
    await synced(signal)
    return admitPolicy(request, sources)
  })
  const certificate = keepCertificate({
    kube,
    names: validatorNames,
    namespace: sources.config.controlPlaneNamespace,
    clock,
    signal,
    logger,
    use: (each) => server.setCertificate(each),
  })
  return { server, certificate }
}

/** Starts the watches, and gives what waits for them, or for the end of a stream. */
function watchUntilSynced(
  { cluster, policies, own }: { cluster: ClusterState; policies: PolicyState; own: DestinationState },
  config: MeshConfig,
  deps: ControllerDeps,
): (ended: AbortSignal) => Promise<void> {
  const { kube, clock, logger, signal } = deps
  const guard = deps.ready('cluster')
  const watch = { kube, clock, logger, signal }
  const listed = Promise.all([
    watchCluster(cluster, watch),
    watchPolicies(policies, config, watch),
    watchKind(resources.serviceProfiles, readServiceProfile, own.serviceProfiles, {
      ...watch,
      kube: keepKnownKinds(kube),
    }),
  ]).then(
    () => {
      guard.ready()
      logger.info({ pods: cluster.pods.size, services: cluster.services.size }, 'the cluster is known')
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
