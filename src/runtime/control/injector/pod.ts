import type { KubeObject } from '../../kube/types.ts'

/** The parts of `v1` objects that the injector reads. */
export interface ContainerPort {
  name?: string
  containerPort: number
  protocol?: string
}

export interface Probe {
  httpGet?: { port: number | string }
}

export interface Container {
  name: string
  image?: string
  restartPolicy?: string
  ports?: ContainerPort[]
  livenessProbe?: Probe
  readinessProbe?: Probe
}

export interface Pod extends KubeObject {
  spec: {
    containers: Container[]
    initContainers?: Container[]
    volumes?: { name: string }[]
    hostNetwork?: boolean
    nodeSelector?: Record<string, string>
    os?: { name: string }
  }
}

export interface ServicePort {
  name?: string
  port: number
  protocol?: string
}

export interface Service extends KubeObject {
  spec?: { ports?: ServicePort[] }
}

/** Containers that run as long as the pod does: the plain ones and native sidecars. */
export function lastingContainers(pod: Pod): Container[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...pod.spec.containers, ...sidecars]
}

/** TCP ports that the containers declare. */
export function declaredPorts(pod: Pod): ContainerPort[] {
  return lastingContainers(pod)
    .flatMap(({ ports }) => ports ?? [])
    .filter(({ protocol }) => protocol === undefined || protocol === 'TCP')
}

/** Ports whose policy the proxy loads at start: declared ones, and those of HTTP probes that are given as numbers. */
export function inboundPorts(pod: Pod): number[] {
  const declared = declaredPorts(pod).map(({ containerPort }) => containerPort)
  const probed = lastingContainers(pod)
    .flatMap(({ livenessProbe, readinessProbe }) => [livenessProbe, readinessProbe])
    .map((probe) => probe?.httpGet?.port)
    .filter((port) => typeof port === 'number')
  return [...new Set([...declared, ...probed])].sort((a, b) => a - b)
}
