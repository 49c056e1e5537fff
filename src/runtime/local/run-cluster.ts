import { setMaxListeners } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { systemClock } from '../shared/clock.ts'
import type { Logger } from '../shared/logger.ts'
import { addresses, apiPort } from './addresses.ts'
import { createApiServer } from './apiserver/server.ts'
import type { ApiServer } from './apiserver/types.ts'
import { type Cluster, openCluster, timestamp } from './cluster.ts'
import { createClusterPki, renderKubeconfig } from './cluster-pki.ts'
import { serveCronJobs } from './controllers/cron-job/serve.ts'
import { serveDaemonSets } from './controllers/daemon-set/serve.ts'
import { serveDeployments } from './controllers/deployment/serve.ts'
import { serveEndpointSlices } from './controllers/endpoint-slice/serve.ts'
import { serveJobs } from './controllers/job/serve.ts'
import { serveNamespaces } from './controllers/namespace/serve.ts'
import { serveNode } from './controllers/node/serve.ts'
import { serveReplicaSets } from './controllers/replica-set/serve.ts'
import { serveScheduler } from './controllers/scheduler/serve.ts'
import { serveStatefulSets } from './controllers/stateful-set/serve.ts'
import { clusterNames, serveDns } from './dns/serve.ts'
import { imageRepository, readImages } from './images.ts'
import { PodNetwork } from './network/pod-network.ts'
import { serveServiceRules } from './network/serve.ts'
import { NodeAgent } from './node/agent.ts'
import { EventRecorder } from './node/events.ts'
import { mountHostView } from './node/host-view.ts'
import { defaultTiming, type NodeParts, type NodeTiming } from './node/parts.ts'
import type { StatePaths } from './paths.ts'
import { findTools, runTool, type Tools } from './tools.ts'

/** What a cluster is started with. */
export interface ClusterOptions {
  name: string
  paths: StatePaths
  /** Descriptor of the socket that the starter listens on, and its port. */
  listenFd: number
  port: number
  /** The value of `PATH`. */
  path: string | undefined
  timing?: Partial<NodeTiming>
}

/** A cluster that runs. */
export interface RunningCluster {
  /** Ends pods in order, then everything else. */
  stop(): Promise<void>
}

/** In memory, and seen by this process alone: what pods are made of. */
const workFolder = '/run/mesh'
/** A pod may ask for half a minute; the end of the whole cluster does not wait that long. */
const longestStopGraceMs = 3_000

/**
 * Starts every part of a cluster. Must run as root of its own network, mount and PID namespaces, since it takes
 * them over.
 */
export async function runCluster(options: ClusterOptions, logger: Logger): Promise<RunningCluster> {
  const { paths } = options
  const tools = findTools(options.path)
  const stopping = new AbortController()
  // Everything that runs listens to this one signal.
  setMaxListeners(0, stopping.signal)
  // Covers the machine's own run-time files; `ip netns` keeps its names here too.
  await runTool(tools.mount, ['-t', 'tmpfs', '-o', 'mode=755', 'mesh', '/run'])
  const network = new PodNetwork(tools)
  const [hostView, , api] = await Promise.all([
    mountHostView(`${workFolder}/host`, tools, logger),
    network.setUpNode(),
    startApi(options, logger),
  ])
  const cluster = await openCluster({
    client: api.client,
    clock: systemClock,
    logger,
    signal: stopping.signal,
  })
  const agent = new NodeAgent(
    nodeParts(
      { cluster, tools, network, hostView, timing: { ...defaultTiming, ...options.timing } },
      paths,
      api,
    ),
  )
  api.setNodeHooks(agent.hooks)
  const dns = await serveDns(clusterNames(cluster), addresses.dnsService)
  await createDnsService(cluster)
  await serveControllers(cluster, tools)
  agent.start()
  const status = { name: options.name, port: options.port, startedAt: timestamp(Date.now()) }
  writeFileSync(paths.status, `${JSON.stringify(status)}\n`)
  return {
    async stop() {
      await agent.stop(longestStopGraceMs)
      stopping.abort(new Error('the cluster stops'))
      dns.close()
      await api.close()
    },
  }
}

async function startApi({ name, paths, listenFd, port }: ClusterOptions, logger: Logger): Promise<ApiServer> {
  const pki = createClusterPki(systemClock.nowMs())
  const api = await createApiServer({
    tls: pki.server,
    clusterCa: pki.authority,
    serviceRange: addresses.serviceRange,
    apiEndpoints: [{ ip: addresses.node, port: apiPort }],
    logger,
  })
  await api.listenTls({ fd: listenFd })
  await api.listenTls({ host: '0.0.0.0', port: apiPort })
  await api.listenTls({ host: '0.0.0.0', port: 443 })
  const kubeconfig = renderKubeconfig(name, `https://127.0.0.1:${port}`, pki)
  writeFileSync(paths.kubeconfig, kubeconfig, { mode: 0o600 })
  return api
}

function nodeParts(
  known: Pick<NodeParts, 'cluster' | 'tools' | 'network' | 'hostView' | 'timing'>,
  paths: StatePaths,
  api: ApiServer,
): NodeParts {
  mkdirSync(paths.pods, { recursive: true })
  return {
    ...known,
    events: new EventRecorder(known.cluster, 'kubelet'),
    workFolder,
    logFolder: paths.pods,
    findImage: (image) => readImages(paths.images)[imageRepository(image)],
    imageAdvice: (image) => {
      const name = imageRepository(image)
      return `image ${name} is not in the cluster's table; add it with: mesh local start --image '${name}=COMMAND'`
    },
    issueToken: (request) => api.issueServiceAccountToken(request),
  }
}

async function serveControllers(cluster: Cluster, tools: Tools): Promise<void> {
  serveDeployments(cluster)
  serveReplicaSets(cluster)
  serveStatefulSets(cluster)
  serveDaemonSets(cluster)
  serveJobs(cluster)
  serveCronJobs(cluster)
  serveEndpointSlices(cluster)
  serveNamespaces(cluster)
  serveScheduler(cluster)
  serveServiceRules(cluster, tools)
  await serveNode(cluster)
}

/** The service by which pods know the DNS server. */
async function createDnsService({ client }: Cluster): Promise<void> {
  const names = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ]
  await client.apply(
    { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
      spec: { clusterIP: addresses.dnsService, ports: names },
    } as never,
    { fieldManager: 'mesh-local' },
  )
}
