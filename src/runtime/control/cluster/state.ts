import type { EndpointSlice } from './endpoint-slice.ts'
import type { Intermediate, Node } from './owner.ts'
import type { Pod } from './pod.ts'
import { Wakeups } from './reactive.ts'
import type { Server } from './server.ts'
import type { Service } from './service.ts'
import { type Index, idOf, Table } from './table.ts'

/** What was watched of the cluster, indexed by what is asked. One for the whole process. */
export class ClusterState {
  readonly wakeups = new Wakeups()
  /** By namespace and name. */
  readonly pods = new Table<Pod>()
  readonly podsByIp: Index<Pod>
  /** By `HOST-IP:PORT`. */
  readonly podsByHostPort: Index<Pod>
  readonly services = new Table<Service>()
  readonly servicesByIp: Index<Service>
  readonly slices = new Table<EndpointSlice>()
  /** By namespace and name of the Service. */
  readonly slicesByService: Index<EndpointSlice>
  /** By name. */
  readonly nodes = new Table<Node>()
  readonly replicaSets = new Table<Intermediate>()
  readonly jobs = new Table<Intermediate>()
  readonly servers = new Table<Server>()
  readonly serversByNamespace: Index<Server>

  constructor() {
    // A pod that has ended keeps its address in its status while another may already have it.
    this.podsByIp = this.pods.index((pod) => (pod.isOnHostNetwork || !pod.isRunning ? [] : pod.ips))
    this.podsByHostPort = this.pods.index(hostPortKeys)
    this.servicesByIp = this.services.index((service) => service.clusterIps)
    this.slicesByService = this.slices.index((slice) =>
      slice.service === '' ? [] : [idOf(slice.namespace, slice.service)],
    )
    this.serversByNamespace = this.servers.index((server) => [server.namespace])
  }
}

function hostPortKeys(pod: Pod): string[] {
  if (!pod.isRunning) return []
  return pod.ports.flatMap(({ hostPort, hostIp }) => {
    if (hostPort === undefined) return []
    const ips = hostIp === undefined ? pod.hostIps : [hostIp]
    return ips.map((ip) => `${ip}:${hostPort}`)
  })
}
