import type { Endpoint, EndpointPort, EndpointSlice, Pod, Service, ServicePort } from '../../objects.ts'
import { hasEnded, isReady } from '../conditions.ts'
import { controllerReference } from '../owners.ts'

export const serviceNameLabel = 'kubernetes.io/service-name'
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const managedBy = 'endpointslice-controller.k8s.io'

/**
 * The EndpointSlices of a service: one, or one for each set of port numbers when pods name their ports differently.
 * Empty when the service has no selector. Slices are named `SERVICE-0`, `SERVICE-1`…
 * @param pods the pods of the namespace that the selector chooses
 */
export function planEndpointSlices(service: Service, pods: Pod[]): EndpointSlice[] {
  const groups = new Map<string, { ports: EndpointPort[]; endpoints: Endpoint[] }>()
  for (const pod of [...pods].sort((left, right) => left.metadata.name.localeCompare(right.metadata.name))) {
    const endpoint = endpointOf(service, pod)
    if (endpoint === undefined) continue
    const ports = portsFor(service, pod)
    const key = JSON.stringify(ports)
    const group = groups.get(key) ?? { ports, endpoints: [] }
    groups.set(key, group)
    group.endpoints.push(endpoint)
  }
  if (groups.size === 0) groups.set('', { ports: [], endpoints: [] })
  return [...groups.values()].map(({ ports, endpoints }, index) => sliceOf(service, index, ports, endpoints))
}

function sliceOf(
  service: Service,
  index: number,
  ports: EndpointPort[],
  endpoints: Endpoint[],
): EndpointSlice {
  const { name, namespace = 'default', labels } = service.metadata
  const isHeadless = service.spec.clusterIP === 'None'
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${index}`,
      namespace,
      labels: {
        ...labels,
        [serviceNameLabel]: name,
        [managedByLabel]: managedBy,
        ...(isHeadless ? { 'service.kubernetes.io/headless': '' } : {}),
      },
      ownerReferences: [controllerReference(service, 'v1', 'Service')],
    },
    addressType: 'IPv4',
    endpoints,
    ports,
  }
}

function endpointOf(service: Service, pod: Pod): Endpoint | undefined {
  const address = pod.status?.podIP
  if (address === undefined || hasEnded(pod)) return undefined
  const { name, namespace = '', uid = '' } = pod.metadata
  const isTerminating = pod.metadata.deletionTimestamp !== undefined
  const isServing = isReady(pod)
  const hasHostname = pod.spec.hostname !== undefined && pod.spec.subdomain === service.metadata.name
  return {
    addresses: [address],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (isServing && !isTerminating),
      serving: isServing,
      terminating: isTerminating,
    },
    ...(hasHostname && pod.spec.hostname !== undefined ? { hostname: pod.spec.hostname } : {}),
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', name, namespace, uid },
  }
}

function portsFor(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pod)
    if (number === undefined) return []
    const { name = '', protocol = 'TCP', appProtocol } = port
    return [{ name, port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }]
  })
}

/** The port number on a pod: as given, or that of the container port of this name. */
export function targetPort(port: ServicePort, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  const ports = [...pod.spec.containers, ...sidecars].flatMap((container) => container.ports ?? [])
  return ports.find(({ name, protocol = 'TCP' }) => name === target && protocol === (port.protocol ?? 'TCP'))
    ?.containerPort
}
