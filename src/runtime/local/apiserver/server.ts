import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { createLogger } from '../../shared/logger.ts'
import { Admission } from './admission/admission.ts'
import { serviceAccountPlugin } from './admission/service-account.ts'
import type { Dial } from './admission/webhook-call.ts'
import { Webhooks } from './admission/webhooks.ts'
import { ServiceAllocator } from './allocation.ts'
import { aggregateClusterRoles } from './auth/aggregation.ts'
import { authenticate } from './auth/authenticate.ts'
import { Authorizer } from './auth/rbac.ts'
import { ServiceAccountTokens } from './auth/tokens.ts'
import { createBootstrapObjects } from './bootstrap/objects.ts'
import { InProcessClient } from './client.ts'
import { CustomResources } from './crd/custom-resources.ts'
import { customResourceDefinitionKind } from './crd/definition-kind.ts'
import { expireEvents } from './event-expiry.ts'
import { GarbageCollector } from './garbage-collector.ts'
import type { HandlerContext } from './http/context.ts'
import { answerNode } from './http/node-adapter.ts'
import { builtinKinds } from './kinds/builtin.ts'
import { listenHttps, type UpgradeHandler } from './listener.ts'
import { furnishNamespaces } from './namespaces.ts'
import { Registry } from './registry/registry.ts'
import { StatusError } from './status.ts'
import { Store } from './store.ts'
import { answerUpgrade } from './streaming/upgrade.ts'
import type { ApiServer, ApiServerOptions, Listening, ListenTarget, NodeHooks } from './types.ts'
import type { ApiCore } from './verbs/operation.ts'

const defaultMinorVersion = 32
const defaultServiceRange = '10.96.0.0/16'

function createCore(
  options: ApiServerOptions,
  clock: Clock,
  dial: Dial,
): { core: ApiCore; allocator: ServiceAllocator } {
  const logger = options.logger ?? createLogger('apiserver', 'warn')
  const store = new Store({ clock })
  const allocator = new ServiceAllocator(store, options.serviceRange ?? defaultServiceRange)
  const strategyEnv = {
    nowMs: () => clock.nowMs(),
    allocateClusterIp: allocator.clusterIp.bind(allocator),
    allocateNodePort: allocator.nodePort.bind(allocator),
  }
  const registry = new Registry([...builtinKinds, customResourceDefinitionKind])
  const webhooks = new Webhooks({ store, registry, dial, logger })
  const admission = new Admission([serviceAccountPlugin(store), webhooks])
  return { core: { store, registry, admission, strategyEnv, clock, logger }, allocator }
}

/** Before a node agent has registered: whatever this process can reach. */
function dialDirectly(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

function noNode(): NodeHooks {
  throw new StatusError(503, 'ServiceUnavailable', 'no node is running: the node agent has not started yet')
}

/** Starts what works beside the requests, and gives the function that ends it. */
function startBackground(core: ApiCore, client: InProcessClient, clusterCa: string): () => void {
  const { store, clock, logger } = core
  const collector = new GarbageCollector(store, logger)
  const customResources = new CustomResources(core)
  const stops = [
    aggregateClusterRoles(store),
    expireEvents(store, clock),
    furnishNamespaces(store, client, clusterCa, logger),
    () => collector.close(),
    () => customResources.close(),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** The two ways into the server from a socket. */
function entrances(context: HandlerContext): Pick<ApiServer, 'handle'> & { handleUpgrade: UpgradeHandler } {
  const identify = (request: IncomingMessage) =>
    authenticate(request.socket, request.headers.authorization, context.tokens)
  return {
    handle(request, response, user) {
      void answerNode(context, request, response, () => user ?? identify(request))
    },
    handleUpgrade(request, socket, head) {
      answerUpgrade(context, request, socket, head, () => identify(request))
    },
  }
}

/** An embedded Kubernetes API server, in memory, complete when the promise resolves. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const clock = options.clock ?? systemClock
  let hooks: NodeHooks | undefined
  const dial: Dial = (host, port) => (hooks ? hooks.dialPod(host, port) : dialDirectly(host, port))
  const { core, allocator } = createCore(options, clock, dial)
  const tokens = new ServiceAccountTokens(core.store, clock, options.serviceAccountKey)
  const context: HandlerContext = {
    core,
    authorizer: new Authorizer(core.store),
    tokens,
    minorVersion: options.minorVersion ?? defaultMinorVersion,
    hooks: () => hooks ?? noNode(),
  }
  const client = new InProcessClient(context)
  const stopBackground = startBackground(core, client, options.clusterCa)
  await createBootstrapObjects(client, allocator.apiServerIp, options.apiEndpoints ?? [])
  const { handle, handleUpgrade } = entrances(context)
  const tls = { ...options.tls, clientCa: options.clusterCa }
  const listeners: Listening[] = []
  return {
    store: core.store,
    client,
    handle,
    async listenTls(target: ListenTarget): Promise<Listening> {
      const listening = await listenHttps(target, tls, handle, handleUpgrade)
      listeners.push(listening)
      return listening
    },
    setNodeHooks(given) {
      hooks = given
    },
    issueServiceAccountToken: (request) => tokens.issue(request),
    async close() {
      stopBackground()
      await Promise.all(listeners.map((listening) => listening.close()))
    },
  }
}
