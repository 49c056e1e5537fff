import type { Registry } from 'prom-client'
import { runAsLeader } from '../../../kube/lease.ts'
import { resources } from '../../../kube/resources.ts'
import type { KubeClient, Resource } from '../../../kube/types.ts'
import type { Clock } from '../../../shared/clock.ts'
import { messageOf } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/logger.ts'
import type { MeshConfig } from '../../cluster/config.ts'
import type { ClusterState } from '../../cluster/state.ts'
import type { Table } from '../../cluster/table.ts'
import type { EgressNetwork } from '../egress-network.ts'
import type { RateLimit } from '../rate-limit.ts'
import type { Verdict } from '../route/acceptance.ts'
import type { Route } from '../route/route.ts'
import type { PolicyState } from '../state.ts'
import { conditionStatus, type ParentStatus, type ParentVerdict, parentStatuses } from './conditions.ts'
import { type FollowedKind, follow } from './follow.ts'
import { egressNetworkVerdict, rateLimitVerdict, routeVerdicts } from './verdicts.ts'
import { StatusWriter } from './write.ts'

/** Name of the Lease whose holder writes statuses. */
const leaseName = 'policy-controller-write'

export interface StatusDeps {
  kube: KubeClient
  clock: Clock
  logger: Logger
  metrics: Registry
  cluster: ClusterState
  policies: PolicyState
  config: MeshConfig
  /** Unique among the replicas. */
  identity: string
  /** Ends the work; the lease is given back. */
  signal: AbortSignal
}

/** Writes the status of routes, rate limits and egress networks for as long as this replica holds the lease. */
export async function writeStatuses(deps: StatusDeps): Promise<void> {
  const { kube, clock, logger, metrics, config, identity, signal } = deps
  const writer = new StatusWriter(kube, clock, metrics)
  await runAsLeader(
    {
      client: kube,
      namespace: config.controlPlaneNamespace,
      name: leaseName,
      identity,
      clock,
      signal,
      leaseDurationMs: 30_000,
      onError: (error) => logger.warn({ reason: messageOf(error) }, 'the lease of statuses'),
    },
    async (leading) => {
      logger.info({ identity }, 'writing the statuses of routes')
      const { cluster, policies } = deps
      const follower = { sources: { cluster, policies, config }, writer, clock, logger }
      await Promise.all([
        follow(routesOf(policies.httpRoutes), follower, leading),
        follow(routesOf(policies.grpcRoutes), follower, leading),
        follow(rateLimitsOf(policies), follower, leading),
        follow(egressNetworksOf(policies), follower, leading),
      ])
    },
  )
}

function routesOf<R extends Route<unknown>>(table: Table<R>): FollowedKind<R, readonly ParentVerdict[]> {
  return {
    table,
    judge: routeVerdicts,
    resourceOf: resourceOfRoute,
    render: (_, verdicts, current, generation, now) => {
      const { parents = [] } = current as { parents?: ParentStatus[] }
      return { ...current, parents: parentStatuses(parents, verdicts, generation, now) }
    },
  }
}

function rateLimitsOf({ rateLimits }: PolicyState): FollowedKind<RateLimit, Verdict> {
  return {
    table: rateLimits,
    judge: rateLimitVerdict,
    resourceOf: () => resources.httpLocalRateLimitPolicies,
    render: ({ target }, verdict, current, generation, now) => ({
      ...conditionStatus(current, verdict, generation, now),
      targetRef: target,
    }),
  }
}

function egressNetworksOf({ egressNetworks }: PolicyState): FollowedKind<EgressNetwork, Verdict> {
  return {
    table: egressNetworks,
    judge: egressNetworkVerdict,
    resourceOf: () => resources.egressNetworks,
    render: (_, verdict, current, generation, now) => conditionStatus(current, verdict, generation, now),
  }
}

function resourceOfRoute(route: Route<unknown>): Resource {
  if (route.kind === 'GRPCRoute') return resources.gatewayGrpcRoutes
  return route.group === resources.policyHttpRoutes.group
    ? resources.policyHttpRoutes
    : resources.gatewayHttpRoutes
}
