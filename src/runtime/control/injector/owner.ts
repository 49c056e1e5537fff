import { resources } from '../../kube/resources.ts'
import type { KubeObject, OwnerReference, Resource } from '../../kube/types.ts'
import type { Pod } from './pod.ts'

/** The workload that a pod belongs to. */
export interface Owner {
  apiVersion: string
  kind: string
  name: string
  uid?: string
}

/** Reads the metadata of an owner in the pod's namespace; undefined when it is gone or cannot be read in time. */
export type OwnerReader = (resource: Resource, name: string) => Promise<KubeObject | undefined>

/** Kinds that stand between a workload and its pods. */
const intermediates: Record<string, Resource> = {
  ReplicaSet: resources.replicaSets,
  Job: resources.jobs,
}

/**
 * The workload at the top: ReplicaSets lead to their Deployment, Jobs to their CronJob. When the one in between cannot
 * be read, the Deployment's name comes from the ReplicaSet's, without the hash that the pod is labelled with.
 */
export async function findOwner(pod: Pod, read: OwnerReader): Promise<Owner | undefined> {
  const direct = controllerOf(pod)
  if (direct === undefined) return undefined
  const resource = intermediates[direct.kind]
  if (resource === undefined) return ownerOf(direct)
  const between = await read(resource, direct.name)
  if (between !== undefined) return ownerOf(controllerOf(between) ?? direct)
  const hash = pod.metadata.labels?.['pod-template-hash']
  if (direct.kind === 'ReplicaSet' && hash !== undefined && direct.name.endsWith(`-${hash}`)) {
    return { apiVersion: direct.apiVersion, kind: 'Deployment', name: direct.name.slice(0, -hash.length - 1) }
  }
  return ownerOf(direct)
}

function controllerOf(object: KubeObject): OwnerReference | undefined {
  const references = object.metadata.ownerReferences ?? []
  return references.find(({ controller }) => controller === true) ?? references[0]
}

function ownerOf({ apiVersion, kind, name, uid }: OwnerReference): Owner {
  return { apiVersion, kind, name, uid }
}
