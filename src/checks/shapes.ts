import type { KubeObject } from '../runtime/kube/types.ts'

// The parts of Kubernetes objects that checks look at; shapes are those of core/v1 and apps/v1.

export interface Condition {
  type: string
  status: string
  reason?: string
  message?: string
}

export interface ContainerStatus {
  name: string
  ready: boolean
  restartCount?: number
  state?: { waiting?: { reason?: string; message?: string }; terminated?: { reason?: string } }
}

export interface Container {
  name: string
  image?: string
  env?: { name: string; value?: string }[]
}

export interface PodObject extends KubeObject {
  spec: { hostNetwork?: boolean; containers: Container[]; initContainers?: Container[] }
  status?: {
    phase?: string
    podIP?: string
    podIPs?: { ip: string }[]
    conditions?: Condition[]
    containerStatuses?: ContainerStatus[]
    initContainerStatuses?: ContainerStatus[]
  }
}

export interface ServiceObject extends KubeObject {
  spec?: { clusterIP?: string; clusterIPs?: string[]; selector?: Record<string, string> }
}

export interface NodeObject extends KubeObject {
  spec?: { podCIDR?: string; podCIDRs?: string[] }
}

export interface ReplicaSetObject extends KubeObject {
  status?: { conditions?: Condition[] }
}

export interface DeploymentObject extends KubeObject {
  spec?: { replicas?: number }
  status?: { replicas?: number; readyReplicas?: number }
}

export interface ConfigMapObject extends KubeObject {
  data?: Record<string, string>
}

export interface SecretObject extends KubeObject {
  /** Values are base64. */
  data?: Record<string, string>
}

export interface CrdObject extends KubeObject {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] }
  status?: { conditions?: Condition[] }
}

/** Whether a pod's condition Ready is true. */
export function isReady(pod: PodObject): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
}

/** A pod that has ended does no work any more and is not looked at. */
export function hasEnded(pod: PodObject): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** Every container of a pod, sidecars included. */
export function containersOf(pod: PodObject): Container[] {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
}

/** The status of every container of a pod. */
export function containerStatusesOf(pod: PodObject): ContainerStatus[] {
  return [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]
}

/** `namespace/name`. */
export function fullName(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}
