import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect'
import type {
  DestinationProfile,
  Destination as DestinationService,
  GetDestination,
  Update,
} from '../../proto/gen/io/linkerd/proxy/destination_pb.js'
import { type Destination, parseDestination, type ServiceDestination } from '../cluster/authority.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { latest, type Wakeups } from '../cluster/reactive.ts'
import { parseContextToken } from './context-token.ts'
import type { Discovery, EndpointQuery } from './discovery.ts'
import type { Profiles } from './profile.ts'
import { difference, emptySnapshot, isEmpty, type Snapshot } from './snapshot.ts'
import type { StreamMetrics } from './stream-metrics.ts'
import { destinationProfile, noEndpoints, updates } from './wire.ts'

export interface DestinationDeps {
  discovery: Discovery
  profiles: Profiles
  wakeups: Wakeups
  config: MeshConfig
  metrics: StreamMetrics
  /** Settles when the cluster has been listed; nothing is answered before. */
  synced: (signal: AbortSignal) => Promise<void>
}

/** The discovery service of the proxies. */
export function destinationService(deps: DestinationDeps): ServiceImpl<typeof DestinationService> {
  return {
    get: (request, context) => get(deps, request, context),
    getProfile: (request, context) => getProfile(deps, request, context),
  }
}

async function* get(
  deps: DestinationDeps,
  request: GetDestination,
  { signal }: HandlerContext,
): AsyncGenerator<Update> {
  const destination = parse(deps, request)
  if (destination.kind === 'address') {
    throw new ConnectError('endpoints are looked up by name, not by address', Code.InvalidArgument)
  }
  const query = endpointQuery(destination, parseContextToken(request.contextToken).node)
  await deps.synced(signal)
  const leave = deps.metrics.subscribed(query)
  try {
    let sent: Snapshot | undefined
    for await (const resolution of latest(deps.discovery.endpoints(query), deps.wakeups, signal)) {
      if (resolution.kind === 'external-name') throw externalName(request.path)
      const { snapshot } = resolution
      if (sent === undefined && !snapshot.exists) {
        throw new ConnectError(`there is no Service ${query.namespace}/${query.name}`, Code.NotFound)
      }
      deps.metrics.updated(query, snapshot)
      yield* updates(difference(sent ?? emptySnapshot, snapshot), query)
      // A client that knows of no endpoints for certain can refuse at once instead of waiting for one.
      const wasSaid = sent !== undefined && isEmpty(sent) && sent.exists === snapshot.exists
      if (isEmpty(snapshot) && !wasSaid) yield noEndpoints(snapshot.exists)
      sent = snapshot
    }
  } finally {
    leave()
  }
}

async function* getProfile(
  deps: DestinationDeps,
  request: GetDestination,
  { signal }: HandlerContext,
): AsyncGenerator<DestinationProfile> {
  const destination = parse(deps, request)
  const { node, namespace } = parseContextToken(request.contextToken)
  const query = {
    destination,
    ...(node === undefined ? {} : { node }),
    ...(namespace === undefined ? {} : { namespace }),
  }
  await deps.synced(signal)
  const leave = deps.metrics.profileSubscribed()
  try {
    for await (const profile of latest(deps.profiles.of(query), deps.wakeups, signal)) {
      if (profile.kind === 'external-name') throw externalName(request.path)
      if (profile.kind === 'conflict') {
        throw new ConnectError(
          `several pods have the address ${request.path}: ${profile.pods.join(', ')}`,
          Code.FailedPrecondition,
        )
      }
      deps.metrics.profileUpdated()
      yield destinationProfile(profile, deps.config.clusterDomain)
    }
  } finally {
    leave()
  }
}

function parse({ config }: DestinationDeps, request: GetDestination): Destination {
  if (request.scheme !== '' && request.scheme !== 'k8s') {
    throw new ConnectError(`the scheme "${request.scheme}" is not known; it is "k8s"`, Code.InvalidArgument)
  }
  const destination = parseDestination(request.path, config.clusterDomain)
  if (destination.kind === 'malformed') throw new ConnectError(destination.reason, Code.InvalidArgument)
  return destination
}

function endpointQuery({ kind: _, ...target }: ServiceDestination, node: string | undefined): EndpointQuery {
  return { ...target, ...(node === undefined ? {} : { node }) }
}

function externalName(path: string): ConnectError {
  return new ConnectError(
    `${path} is an ExternalName Service, which has no endpoints in the cluster`,
    Code.InvalidArgument,
  )
}
