import { ClusterView } from '../../checks/cluster-view.ts'
import { isHealthy, runChecks } from '../../checks/run.ts'
import { containersOf, fullName, isReady } from '../../checks/shapes.ts'
import { type Category, CheckFailure, type CheckObserver, type CheckResult } from '../../checks/types.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient, Resource } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import { proxyContainerName } from '../shared/labels.ts'
import { vizApiName } from '../shared/viz-api.ts'
import type { VizClient } from './viz-client.ts'

/** What `mesh viz check` was asked. */
export interface VizCheckOptions {
  controlPlaneNamespace: string
  cliVersion: string
  /** How long to wait for what may yet hold; 0 asks once. */
  waitMs: number
  /** Look at the proxies of applications too. */
  proxy: boolean
  /** Of `proxy`: only this namespace. */
  namespace?: string
}

export interface VizCheckDeps {
  connect: () => KubeClient
  /** Finds viz and asks it. */
  viz: () => Promise<VizClient>
  clock: Clock
  observer?: CheckObserver
}

/** Checks that viz is there, runs, and sees what it is for. */
export async function vizCheck(
  options: VizCheckOptions,
  deps: VizCheckDeps,
): Promise<{ results: CheckResult[]; isHealthy: boolean }> {
  const categories = [vizCategory(deps.viz)]
  if (options.proxy) categories.push(dataPlaneCategory(deps.viz, options.namespace))
  const { controlPlaneNamespace, cliVersion, waitMs } = options
  const results = await runChecks(
    categories,
    { cluster: new ClusterView(deps.connect), controlPlaneNamespace, cliVersion, clock: deps.clock },
    { waitMs, ...(deps.observer === undefined ? {} : { observer: deps.observer }) },
  )
  return { results, isHealthy: isHealthy(results) }
}

function vizCategory(viz: () => Promise<VizClient>): Category {
  const install = 'mesh viz install | kubectl apply -f -'
  const requireObject = async (cluster: ClusterView, resource: Resource) => {
    const name = `linkerd-${(await viz()).namespace}-${vizApiName}`
    if ((await cluster.read(resource, name)) === undefined) throw new CheckFailure(`${name} is missing`)
  }
  return {
    id: 'linkerd-viz',
    checks: [
      {
        code: 'MESH_CHECK_VIZ_NAMESPACE',
        description: 'linkerd-viz Namespace exists',
        anchor: 'l5d-viz-ns-exists',
        isFatal: true,
        fix: install,
        run: async () => void (await viz()),
      },
      {
        code: 'MESH_CHECK_VIZ_CLUSTER_ROLES',
        description: 'linkerd-viz ClusterRoles exist',
        anchor: 'l5d-viz-cr-exists',
        isFatal: true,
        fix: install,
        run: ({ cluster }) => requireObject(cluster, resources.clusterRoles),
      },
      {
        code: 'MESH_CHECK_VIZ_CLUSTER_ROLE_BINDINGS',
        description: 'linkerd-viz ClusterRoleBindings exist',
        anchor: 'l5d-viz-crb-exists',
        isFatal: true,
        fix: install,
        run: ({ cluster }) => requireObject(cluster, resources.clusterRoleBindings),
      },
      {
        code: 'MESH_CHECK_VIZ_INJECTED',
        description: 'viz extension pods are injected',
        anchor: 'l5d-viz-pods-injection',
        isWarning: true,
        fix: 'kubectl -n linkerd-viz rollout restart deploy',
        run: async ({ cluster }) => {
          const pods = await cluster.pods({ namespace: (await viz()).namespace })
          const bare = pods.filter((pod) =>
            containersOf(pod).every(({ name }) => name !== proxyContainerName),
          )
          if (bare.length > 0) throw new CheckFailure(`no proxy is in ${bare.map(fullName).join(', ')}`)
        },
      },
      {
        code: 'MESH_CHECK_VIZ_RUNNING',
        description: 'viz extension pods are running',
        anchor: 'l5d-viz-pods-running',
        isFatal: true,
        isRetried: true,
        fix: `kubectl -n linkerd-viz describe pods`,
        run: async ({ cluster }) => {
          const pods = await cluster.pods({ namespace: (await viz()).namespace })
          if (pods.length === 0) throw new CheckFailure('there is no pod')
          const sick = pods.filter((pod) => !isReady(pod))
          if (sick.length > 0) throw new CheckFailure(`not ready: ${sick.map(fullName).join(', ')}`)
        },
      },
      {
        code: 'MESH_CHECK_VIZ_ANSWERS',
        description: 'viz extension self-check',
        anchor: 'l5d-viz-self-check',
        isRetried: true,
        fix: `kubectl -n linkerd-viz logs deploy/${vizApiName} -c ${vizApiName}`,
        run: async () => void (await (await viz()).targets()),
      },
    ],
  }
}

function dataPlaneCategory(viz: () => Promise<VizClient>, namespace: string | undefined): Category {
  return {
    id: 'linkerd-viz-data-plane',
    checks: [
      {
        code: 'MESH_CHECK_VIZ_DATA_PLANE',
        description: 'data plane proxy metrics are present',
        anchor: 'l5d-viz-data-plane-prom',
        isRetried: true,
        fix: 'kubectl logs POD -c linkerd-proxy',
        run: async ({ clock }) => {
          const { targets } = await (await viz()).targets()
          const wanted = targets.filter((target) => namespace === undefined || target.namespace === namespace)
          if (wanted.length === 0) throw new CheckFailure('no meshed pod is known to metrics-api')
          const silent = wanted.filter(({ lastScrapeMs }) => (lastScrapeMs ?? 0) < clock.nowMs() - 60_000)
          const told = silent.map(
            (each) => `${each.namespace}/${each.pod} (${each.error ?? 'not yet scraped'})`,
          )
          if (told.length > 0) throw new CheckFailure(`no metrics from ${told.join(', ')}`)
        },
      },
    ],
  }
}
