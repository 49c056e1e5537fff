import { resources } from '../../../kube/resources.ts'
import { type Cluster, keyOf, splitKey, unlessGone } from '../../cluster.ts'
import type { EndpointSlice, Pod, Service } from '../../objects.ts'
import { KeyedQueue } from '../../queue.ts'
import { managedBy, managedByLabel, planEndpointSlices, serviceNameLabel } from './reconcile.ts'

/** Keeps the EndpointSlices of services that have a selector. */
export function serveEndpointSlices(cluster: Cluster): void {
  const { cache } = cluster
  const queue = new KeyedQueue((key) => reconcile(cluster, key), cluster)
  cache.services.onChange(({ before, after }) => queue.add(keyOf((after ?? before) as Service)))
  cache.endpointSlices.onChange(({ before, after }) => {
    const slice = (after ?? before) as EndpointSlice
    const { namespace, labels } = slice.metadata
    if (labels?.[managedByLabel] === managedBy) queue.add(`${namespace}/${labels[serviceNameLabel]}`)
  })
  cache.pods.onChange(({ before, after }) => {
    const versions = [before, after].filter((pod): pod is Pod => pod !== undefined)
    const services = cache.services.list((after ?? before)?.metadata.namespace)
    for (const service of services)
      if (versions.some((pod) => selects(service, pod))) queue.add(keyOf(service))
  })
}

function selects(service: Service, pod: Pod): boolean {
  const selector = Object.entries(service.spec.selector ?? {})
  return selector.length > 0 && selector.every(([key, value]) => pod.metadata.labels?.[key] === value)
}

async function reconcile(cluster: Cluster, key: string): Promise<undefined> {
  const { namespace, name } = splitKey(key)
  const service = cluster.cache.services.get(name, namespace)
  if (service?.metadata.deletionTimestamp !== undefined) return
  const labelSelector = `${serviceNameLabel}=${name},${managedByLabel}=${managedBy}`
  const found = await cluster.client.list<EndpointSlice>(resources.endpointSlices, {
    namespace,
    labelSelector,
  })
  const pods = service === undefined ? [] : cluster.cache.pods.list(namespace)
  const isManaged = service !== undefined && Object.keys(service.spec.selector ?? {}).length > 0
  const wanted = isManaged
    ? planEndpointSlices(
        service,
        pods.filter((pod) => selects(service, pod)),
      )
    : []
  await writeSlices(cluster, found.items, wanted)
}

async function writeSlices(
  cluster: Cluster,
  present: EndpointSlice[],
  wanted: EndpointSlice[],
): Promise<void> {
  const { client } = cluster
  for (const slice of wanted) {
    const before = present.find(({ metadata }) => metadata.name === slice.metadata.name)
    if (before === undefined) await client.create(resources.endpointSlices, slice)
    else if (!isSame(before, slice)) {
      const { resourceVersion = '' } = before.metadata
      const replacement = { ...slice, metadata: { ...slice.metadata, resourceVersion } }
      await unlessGone(client.replace(resources.endpointSlices, replacement))
    }
  }
  const names = new Set(wanted.map(({ metadata }) => metadata.name))
  for (const { metadata } of present) {
    if (!names.has(metadata.name))
      await client.remove(resources.endpointSlices, metadata.name, metadata.namespace)
  }
}

function isSame(before: EndpointSlice, wanted: EndpointSlice): boolean {
  const facts = ({ metadata, endpoints, ports }: EndpointSlice) =>
    JSON.stringify([Object.entries(metadata.labels ?? {}).sort(), endpoints ?? [], ports ?? []])
  return facts(before) === facts(wanted)
}
