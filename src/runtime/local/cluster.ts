import { resources } from '../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import type { Logger } from '../shared/logger.ts'
import { type Informer, startInformer } from './informer.ts'
import type {
  ConfigMap,
  CronJob,
  DaemonSet,
  Deployment,
  EndpointSlice,
  Job,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Secret,
  Service,
  StatefulSet,
} from './objects.ts'

/** Copies of everything that the controllers, the node and DNS look at. */
export interface ClusterCache {
  configMaps: Informer<ConfigMap>
  cronJobs: Informer<CronJob>
  daemonSets: Informer<DaemonSet>
  deployments: Informer<Deployment>
  endpointSlices: Informer<EndpointSlice>
  jobs: Informer<Job>
  namespaces: Informer<Namespace>
  nodes: Informer<Node>
  pods: Informer<Pod>
  replicaSets: Informer<ReplicaSet>
  secrets: Informer<Secret>
  services: Informer<Service>
  statefulSets: Informer<StatefulSet>
}

/** What every part of the local cluster is given. */
export interface Cluster {
  client: KubeClient
  cache: ClusterCache
  clock: Clock
  logger: Logger
  /** Aborts when the cluster stops. */
  signal: AbortSignal
}

/** Starts the copies and waits until all are complete. */
export async function openCluster(parts: Omit<Cluster, 'cache'>): Promise<Cluster> {
  const follow = <T extends KubeObject>(resource: Resource) => startInformer<T>(parts.client, resource, parts)
  const cache: ClusterCache = {
    configMaps: follow<ConfigMap>(resources.configMaps),
    cronJobs: follow<CronJob>(resources.cronJobs),
    daemonSets: follow<DaemonSet>(resources.daemonSets),
    deployments: follow<Deployment>(resources.deployments),
    endpointSlices: follow<EndpointSlice>(resources.endpointSlices),
    jobs: follow<Job>(resources.jobs),
    namespaces: follow<Namespace>(resources.namespaces),
    nodes: follow<Node>(resources.nodes),
    pods: follow<Pod>(resources.pods),
    replicaSets: follow<ReplicaSet>(resources.replicaSets),
    secrets: follow<Secret>(resources.secrets),
    services: follow<Service>(resources.services),
    statefulSets: follow<StatefulSet>(resources.statefulSets),
  }
  await Promise.all(Object.values(cache).map((informer: Informer<KubeObject>) => informer.synced))
  return { ...parts, cache }
}

/** The key of an object in a queue: `namespace/name`. */
export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

/** The two halves of {@link keyOf}. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** RFC 3339 in whole seconds, as the API writes times. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** Runs a call whose object may be gone meanwhile; answers undefined then. */
export async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return undefined
    throw error
  }
}
