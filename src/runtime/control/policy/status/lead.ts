import type { Registry } from 'prom-client'
import { runAsLeader } from '../../../kube/lease.ts'
import { resources } from '../../../kube/resources.ts'
import type { KubeClient, Resource } from '../../../kube/types.ts'
import type { Clock } from '../../../shared/clock.ts'
import { messageOf } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/logger.ts'
import type { MeshConfig } from '../../cluster/config.ts'
import { latest } from '../../cluster/reactive.ts'
import type { ClusterState } from '../../cluster/state.ts'
import type { Table } from '../../cluster/table.ts'
import { KeyedQueue } from '../../queue.ts'
import type { Route } from '../route/route.ts'
import type { PolicyState } from '../state.ts'
import type { ParentVerdict } from './conditions.ts'
import { routeVerdicts } from './route-status.ts'
import { StatusWriter } from './write.ts'

/** Name of the Lease whose holder writes statuses. */
const leaseName = 'policy-controller-write'
const concurrency = 4

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

/** Writes the status of routes for as long as this replica holds the lease. */
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
      await Promise.all([
        follow(deps.policies.httpRoutes, deps, writer, leading),
        follow(deps.policies.grpcRoutes, deps, writer, leading),
      ])
    },
  )
}

/** Follows every route of a table until the lease is lost. */
async function follow<R extends Route<unknown>>(
  table: Table<R>,
  deps: StatusDeps,
  writer: StatusWriter,
  leading: AbortSignal,
): Promise<void> {
  const { cluster, policies, config, clock, logger } = deps
  const wanted = new Map<string, { route: R; verdicts: readonly ParentVerdict[] }>()
  const queue = new KeyedQueue({
    clock,
    signal: leading,
    concurrency,
    work: async (id) => {
      const task = wanted.get(id)
      if (task !== undefined) await writer.write(resourceOf(task.route), task.route, task.verdicts)
    },
    onError: (id, error) => logger.warn({ route: id, reason: messageOf(error) }, 'a status was not written'),
  })
  const followed = new Map<string, AbortController>()
  const followOne = async (id: string, route: R, ended: AbortSignal) => {
    const verdicts = routeVerdicts(id, table, { cluster, policies, config })
    for await (const each of latest(verdicts, cluster.wakeups, ended)) {
      if (each === undefined) continue
      wanted.set(id, { route, verdicts: each })
      queue.add(id)
    }
    wanted.delete(id)
  }
  const onRow = (id: string, route: R | undefined) => {
    if (route === undefined) {
      followed.get(id)?.abort(new Error('the route is gone'))
      followed.delete(id)
    } else if (followed.has(id)) queue.add(id)
    else {
      const ending = new AbortController()
      followed.set(id, ending)
      void followOne(id, route, ending.signal)
    }
  }
  const stop = table.onRow(onRow)
  await new Promise<void>((resolve) => {
    if (leading.aborted) resolve()
    leading.addEventListener('abort', () => resolve(), { once: true })
  })
  stop()
  for (const ending of followed.values()) ending.abort(leading.reason)
  await queue.whenIdle()
}

function resourceOf(route: Route<unknown>): Resource {
  if (route.kind === 'GRPCRoute') return resources.gatewayGrpcRoutes
  return route.group === resources.policyHttpRoutes.group
    ? resources.policyHttpRoutes
    : resources.gatewayHttpRoutes
}
