import { addresses } from '../addresses.ts'
import { serviceNameLabel } from '../controllers/endpoint-slice/reconcile.ts'
import type { EndpointSlice, Service, ServicePort } from '../objects.ts'

/** Where connections to one port of a service go. */
interface Route {
  address: string
  protocol: 'tcp' | 'udp'
  port: number
  /** `address:port` of the endpoints. */
  targets: { address: string; port: number }[]
}

/** ClusterIPs that the daemon serves itself. */
const ownServices = new Set<string>([addresses.apiService, addresses.dnsService])

/**
 * The nftables rules that stand for all services, as one transaction. A connection to a ClusterIP goes to a random
 * ready endpoint; with no ready endpoint, to one that still serves while it terminates (KEP-1669); with none it is
 * refused at once. Other addresses of the service range are refused too.
 */
export function renderServiceRules(services: Service[], slices: EndpointSlice[]): string {
  const routes = services
    .flatMap((service) => routesOf(service, slices))
    .sort((left, right) => keyOf(left).localeCompare(keyOf(right)))
  const open = routes.filter((route) => route.targets.length > 0)
  const closed = routes.filter((route) => route.targets.length === 0)
  const pods = [...new Set(open.flatMap((route) => route.targets.map(({ address }) => address)))].sort()
  return [
    'table ip mesh {}',
    'delete table ip mesh',
    'table ip mesh {',
    '  chain services {',
    ...open.map((route) => `    ${renderRoute(route)}`),
    '  }',
    '  chain prerouting { type nat hook prerouting priority dstnat; jump services; }',
    '  chain output { type nat hook output priority -100; jump services; }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat',
    // A pod that reaches itself through its service must get the answer from the node, not from its own address.
    ...pods.map(
      (pod) => `    ip saddr ${pod} ip daddr ${pod} ct status dnat counter snat to ${addresses.node}`,
    ),
    '  }',
    ...refusals(closed),
    '}',
    '',
  ].join('\n')
}

function refusals(closed: Route[]): string[] {
  const rules = closed.map(({ address, protocol, port }) => {
    // An ICMP error that comes while connect() still holds the socket is lost; a reset is not.
    const how = protocol === 'tcp' ? 'reject with tcp reset' : 'reject'
    return `    ip daddr ${address} ${protocol} dport ${port} ${how}`
  })
  return [
    '  chain refused {',
    ...rules,
    '  }',
    // Before routing, because the node has no route to service addresses.
    '  chain incoming { type filter hook prerouting priority dstnat - 1; jump refused; }',
    '  chain outgoing { type filter hook output priority -101; jump refused; }',
  ]
}

function renderRoute({ address, protocol, port, targets }: Route): string {
  const match = `ip daddr ${address} ${protocol} dport ${port}`
  const [only] = targets
  if (targets.length === 1 && only !== undefined) return `${match} dnat to ${only.address}:${only.port}`
  const entries = targets.map((target, index) => `${index} : ${target.address} . ${target.port}`)
  return `${match} dnat to numgen random mod ${targets.length} map { ${entries.join(', ')} }`
}

function keyOf(route: Route): string {
  return `${route.address} ${route.protocol} ${String(route.port).padStart(5, '0')}`
}

function routesOf(service: Service, slices: EndpointSlice[]): Route[] {
  const address = service.spec.clusterIP
  if (address === undefined || address === '' || address === 'None' || ownServices.has(address)) return []
  const { name, namespace } = service.metadata
  const own = slices.filter(
    ({ metadata, addressType }) =>
      addressType === 'IPv4' &&
      metadata.namespace === namespace &&
      metadata.labels?.[serviceNameLabel] === name,
  )
  return (service.spec.ports ?? []).flatMap((port) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase()
    if (protocol !== 'tcp' && protocol !== 'udp') return []
    return [{ address, protocol, port: port.port, targets: targetsOf(port, own) }]
  })
}

function targetsOf(port: ServicePort, slices: EndpointSlice[]): Route['targets'] {
  const ready = chosenTargets(port, slices, ({ ready }) => ready !== false)
  return ready.length > 0
    ? ready
    : chosenTargets(port, slices, ({ serving, terminating }) => serving && terminating)
}

function chosenTargets(
  port: ServicePort,
  slices: EndpointSlice[],
  isChosen: (conditions: { ready?: boolean; serving: boolean; terminating: boolean }) => boolean,
): Route['targets'] {
  const targets = slices.flatMap(({ endpoints, ports }) => {
    const match = ports?.find(
      ({ name = '', protocol = 'TCP' }) =>
        name === (port.name ?? '') && protocol === (port.protocol ?? 'TCP'),
    )
    if (match === undefined) return []
    const chosen = (endpoints ?? []).filter(({ conditions }) => isChosen(conditions))
    return chosen.flatMap((endpoint) => endpoint.addresses.map((address) => ({ address, port: match.port })))
  })
  return targets.sort((left, right) => left.address.localeCompare(right.address) || left.port - right.port)
}
