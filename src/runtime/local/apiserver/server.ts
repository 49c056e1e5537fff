import type { IncomingMessage, ServerResponse } from 'node:http'
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
import { listenHttps } from './listener.ts'
import { furnishNamespaces } from './namespaces.ts'
import type { User } from './objects.ts'
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

/** An embedded Kubernetes API server, in memory, complete when the promise resolves. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const clock = options.clock ?? systemClock
  let hooks: NodeHooks | undefined
  const dial: Dial = (host, port) => (hooks ? hooks.dialPod(host, port) : dialDirectly(host, port))
  const { core, allocator } = createCore(options, clock, dial)
  const { store, logger } = core
  const tokens = new ServiceAccountTokens(store, clock, options.serviceAccountKey)
  const context: HandlerContext = {
    core,
    authorizer: new Authorizer(store),
    tokens,
    minorVersion: options.minorVersion ?? defaultMinorVersion,
    hooks: () => hooks ?? noNode(),
  }
  const client = new InProcessClient(context)
  const collector = new GarbageCollector(store, logger)
  const customResources = new CustomResources(core)
  const stops = [
    aggregateClusterRoles(store),
    expireEvents(store, clock),
    furnishNamespaces(store, client, options.clusterCa, logger),
    () => collector.close(),
    () => customResources.close(),
  ]
  await createBootstrapObjects(client, allocator.apiServerIp, options.apiEndpoints ?? [])

  const listeners: Listening[] = []
  const handle = (request: IncomingMessage, response: ServerResponse, user?: User) => {
    const identify = () => user ?? authenticate(request.socket, request.headers.authorization, tokens)
    void answerNode(context, request, response, identify)
  }
  const handleUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const identify = () => authenticate(request.socket, request.headers.authorization, tokens)
    answerUpgrade(context, request, socket, head, identify)
  }
  return {
    store,
    client,
    handle,
    async listenTls(target: ListenTarget): Promise<Listening> {
      const { certificate, privateKey } = options.tls
      const tls = { certificate, privateKey, clientCa: options.clusterCa }
      const listening = await listenHttps(
        target,
        tls,
        (request, response) => handle(request, response),
        handleUpgrade,
      )
      listeners.push(listening)
      return listening
    },
    setNodeHooks(given) {
      hooks = given
    },
    issueServiceAccountToken: (request) => tokens.issue(request),
    async close() {
      for (const stop of stops) stop()
      await Promise.all(listeners.map((listening) => listening.close()))
    },
  }
}
