import { annotations, proxyContainerName, redirectContainerName } from '../../shared/labels.ts'
import type { Pod } from './pod.ts'

/** Why a pod gets no proxy. The words are labels of metrics. */
export type SkipReason =
  | 'host_network_enabled'
  | 'sidecar_already_exists'
  | 'unsupported_resource'
  | 'injection_enable_annotation_absent'
  | 'injection_disable_annotation_present'
  | 'invalid_inject_annotation_at_workload'
  | 'invalid_inject_annotation_at_ns'

/** Where the annotation that decided stands. */
export type AnnotationPlace = 'workload' | 'namespace' | 'none'

export type Decision =
  | { kind: 'inject'; isIngress: boolean; annotationAt: AnnotationPlace }
  | { kind: 'skip'; reason: SkipReason; annotationAt: AnnotationPlace }

/** Containers of meshes: two proxies in a pod would fight for its traffic. */
const foreignSidecars = new Set([
  'istio-proxy',
  'istio-init',
  'envoy-sidecar',
  'kuma-sidecar',
  'consul-dataplane',
])

/** Decides whether a pod gets a proxy. Its own annotation is stronger than its namespace's. */
export function decideInjection(pod: Pod, namespaceAnnotations: Readonly<Record<string, string>>): Decision {
  const own = pod.metadata.annotations?.[annotations.inject]
  const value = own ?? namespaceAnnotations[annotations.inject]
  const annotationAt = own !== undefined ? 'workload' : value !== undefined ? 'namespace' : 'none'
  const skip = (reason: SkipReason): Decision => ({ kind: 'skip', reason, annotationAt })
  switch (value) {
    case undefined:
      return skip('injection_enable_annotation_absent')
    case 'disabled':
      return skip('injection_disable_annotation_present')
    case 'enabled':
    case 'ingress': {
      const obstacle = obstacleOf(pod)
      return obstacle === undefined
        ? { kind: 'inject', isIngress: value === 'ingress', annotationAt }
        : skip(obstacle)
    }
    default:
      return skip(
        annotationAt === 'workload'
          ? 'invalid_inject_annotation_at_workload'
          : 'invalid_inject_annotation_at_ns',
      )
  }
}

function obstacleOf(pod: Pod): SkipReason | undefined {
  const { spec } = pod
  if (spec.hostNetwork === true) return 'host_network_enabled'
  if (spec.os?.name === 'windows' || spec.nodeSelector?.['kubernetes.io/os'] === 'windows') {
    return 'unsupported_resource'
  }
  const names = [...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name)
  const isTaken = names.some(
    (name) => name === proxyContainerName || name === redirectContainerName || foreignSidecars.has(name),
  )
  return isTaken ? 'sidecar_already_exists' : undefined
}
