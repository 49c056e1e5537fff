import type { KubeObject } from '../../kube/types.ts'
import type { Pod } from './pod.ts'
import type { Observer } from './reactive.ts'
import { idOf, type Table } from './table.ts'

/** A Node: the zone that it is in. */
export interface Node {
  zone?: string
}

export function readNode(object: KubeObject): Node {
  const zone = object.metadata.labels?.['topology.kubernetes.io/zone']
  return zone === undefined ? {} : { zone }
}

/** A ReplicaSet or a Job: who controls it. */
export interface Intermediate {
  owner?: { kind: string; name: string }
}

export function readIntermediate(object: KubeObject): Intermediate {
  const owner = object.metadata.ownerReferences?.find(({ controller }) => controller === true)
  return owner === undefined ? {} : { owner: { kind: owner.kind, name: owner.name } }
}

/** The workload of a pod: a Deployment rather than its ReplicaSet, a CronJob rather than its Job. */
export function ownerOfPod(
  pod: Pod,
  state: { replicaSets: Table<Intermediate>; jobs: Table<Intermediate> },
  observer: Observer,
): { kind: string; name: string } | undefined {
  const { owner } = pod
  if (owner === undefined) return undefined
  const id = idOf(pod.namespace, owner.name)
  if (owner.kind === 'ReplicaSet') return state.replicaSets.get(id, observer)?.owner ?? owner
  if (owner.kind === 'Job') return state.jobs.get(id, observer)?.owner ?? owner
  return owner
}
