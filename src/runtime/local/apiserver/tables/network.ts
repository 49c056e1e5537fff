import { objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { ageColumn, type Column, field, labelText, nameColumn, selectorText, text, wide } from './column.ts'

function externalIp(service: StoredObject): string {
  const external = valueAt(service, ['spec', 'externalIPs'])
  const given = Array.isArray(external) ? external.map(String) : []
  switch (stringAt(service, ['spec', 'type']) ?? '') {
    case 'ExternalName':
      return stringAt(service, ['spec', 'externalName']) ?? '<none>'
    case 'LoadBalancer': {
      const ingress = objectsAt(service, ['status', 'loadBalancer', 'ingress'])
      const addresses = [...ingress.map((item) => String(item.ip ?? item.hostname ?? '')), ...given]
      return addresses.length === 0 ? '<pending>' : addresses.join(',')
    }
    default:
      return given.length === 0 ? '<none>' : given.join(',')
  }
}

function servicePorts(service: StoredObject): string {
  const ports = objectsAt(service, ['spec', 'ports']).map((port) => {
    const node = port.nodePort ? `:${String(port.nodePort)}` : ''
    return `${String(port.port)}${node}/${String(port.protocol ?? 'TCP')}`
  })
  return ports.length === 0 ? '<none>' : ports.join(',')
}

export const serviceColumns: Column[] = [
  nameColumn,
  field('Type', 'spec.type'),
  field('Cluster-IP', 'spec.clusterIP'),
  text('External-IP', externalIp),
  text('Port(s)', servicePorts),
  ageColumn,
  wide('Selector', (object) => labelText(valueAt(object, ['spec', 'selector']))),
]

/** At most three values, then how many more there are. */
function shortList(values: string[]): string {
  if (values.length === 0) return '<unset>'
  const more = values.length > 3 ? ` + ${values.length - 3} more...` : ''
  return `${values.slice(0, 3).join(',')}${more}`
}

export const endpointSliceColumns: Column[] = [
  nameColumn,
  field('AddressType', 'addressType'),
  text('Ports', (slice) => shortList(objectsAt(slice, ['ports']).map((port) => String(port.port ?? '*')))),
  text('Endpoints', (slice) =>
    shortList(objectsAt(slice, ['endpoints']).flatMap((endpoint) => (endpoint.addresses as string[]) ?? [])),
  ),
  ageColumn,
]

export const endpointsColumns: Column[] = [
  nameColumn,
  text('Endpoints', (endpoints) => {
    const addresses = objectsAt(endpoints, ['subsets']).flatMap((subset) =>
      objectsAt(subset, ['addresses']).flatMap((address) =>
        objectsAt(subset, ['ports']).map((port) => `${String(address.ip)}:${String(port.port)}`),
      ),
    )
    return addresses.length === 0 ? '<none>' : shortList(addresses)
  }),
  ageColumn,
]

export const ingressColumns: Column[] = [
  nameColumn,
  field('Class', 'spec.ingressClassName'),
  text('Hosts', (ingress) => {
    const hosts = objectsAt(ingress, ['spec', 'rules']).map((rule) => String(rule.host || '*'))
    return hosts.length === 0 ? '*' : shortList(hosts)
  }),
  text('Address', (ingress) =>
    objectsAt(ingress, ['status', 'loadBalancer', 'ingress'])
      .map((item) => String(item.ip ?? item.hostname ?? ''))
      .join(','),
  ),
  text('Ports', (ingress) => (objectsAt(ingress, ['spec', 'tls']).length > 0 ? '80, 443' : '80')),
  ageColumn,
]

export const networkPolicyColumns: Column[] = [
  nameColumn,
  text('Pod-Selector', (policy) => selectorText(valueAt(policy, ['spec', 'podSelector']))),
  ageColumn,
]
