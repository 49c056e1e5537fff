import { randomInt } from 'node:crypto'
import { resources } from '../../../kube/resources.ts'
import { objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { notFound, StatusError } from '../status.ts'
import type { Store } from '../store.ts'

/** An address that can be dialled in the pod network. */
export interface Target {
  ip: string
  port: number
}

const serviceNameLabel = 'kubernetes.io/service-name'

function servicePort(service: StoredObject, wanted: string | number | undefined): Record<string, unknown> {
  const ports = objectsAt(service, ['spec', 'ports'])
  const found =
    wanted === undefined || wanted === ''
      ? ports[0]
      : ports.find((port) => String(port.port) === String(wanted) || port.name === wanted)
  const { name, namespace } = service.metadata
  if (found) return found
  throw new StatusError(
    503,
    'ServiceUnavailable',
    `no service port ${JSON.stringify(wanted ?? '')} found for service "${namespace}/${name}"`,
  )
}

function addressesOf(slice: StoredObject): string[] {
  return objectsAt(slice, ['endpoints'])
    .filter((endpoint) => valueAt(endpoint, ['conditions', 'ready']) !== false)
    .flatMap((endpoint) => (endpoint.addresses as string[] | undefined) ?? [])
}

/**
 * A ready endpoint of a service, chosen at random.
 * @param port number or name of a service port; the first when absent
 * @throws KubeError 404 without the service, 503 without a ready endpoint
 */
export function resolveService(
  store: Store,
  namespace: string,
  name: string,
  port?: string | number,
): Target {
  const service = store.get<StoredObject>(resources.services, name, namespace)
  if (!service) throw notFound(resources.services, name)
  const wanted = servicePort(service, port)
  const labelSelector = `${serviceNameLabel}=${name}`
  const slices = store.list<StoredObject>(resources.endpointSlices, { namespace, labelSelector }).items
  const targets = slices.flatMap((slice) => {
    const found = objectsAt(slice, ['ports']).find(
      (candidate) => (candidate.name ?? '') === (wanted.name ?? ''),
    )
    return found === undefined ? [] : addressesOf(slice).map((ip) => ({ ip, port: Number(found.port) }))
  })
  const chosen = targets[targets.length > 1 ? randomInt(targets.length) : 0]
  if (chosen) return chosen
  throw new StatusError(
    503,
    'ServiceUnavailable',
    `no endpoints available for service "${namespace}/${name}"`,
  )
}

/**
 * The address of a port of a pod.
 * @param port number or name; the first declared one, or 80, when absent
 * @throws KubeError 404 without the pod, 503 before it has an address
 */
export function resolvePod(store: Store, namespace: string, name: string, port?: string): Target {
  const pod = store.get<StoredObject>(resources.pods, name, namespace)
  if (!pod) throw notFound(resources.pods, name)
  const ip = stringAt(pod, ['status', 'podIP'])
  if (!ip) throw new StatusError(503, 'ServiceUnavailable', `pod "${namespace}/${name}" has no address yet`)
  const containers = [
    ...objectsAt(pod, ['spec', 'containers']),
    ...objectsAt(pod, ['spec', 'initContainers']),
  ]
  const ports = containers.flatMap((container) => objectsAt(container, ['ports']))
  if (port === undefined || port === '') return { ip, port: Number(ports[0]?.containerPort ?? 80) }
  const named = ports.find((candidate) => candidate.name === port)?.containerPort
  const number = Number(named ?? port)
  if (Number.isInteger(number) && number > 0) return { ip, port: number }
  throw new StatusError(
    503,
    'ServiceUnavailable',
    `pod "${namespace}/${name}" has no port ${JSON.stringify(port)}`,
  )
}
