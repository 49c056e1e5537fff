import { randomInt } from 'node:crypto'
import { BlockList, isIPv4 } from 'node:net'
import { resources } from '../../kube/resources.ts'
import { objectsAt, stringAt } from './json.ts'
import { invalidValue } from './kinds/validation.ts'
import type { StoredObject } from './objects.ts'
import { invalid } from './status.ts'
import type { Store } from './store.ts'

function toNumber(ip: string): number {
  return ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function toIp(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

const firstNodePort = 30_000
const lastNodePort = 32_767

/** Gives Services their addresses and node ports. What is taken is read from the store each time. */
export class ServiceAllocator {
  readonly #store: Store
  readonly #range: string
  readonly #base: number
  readonly #size: number
  readonly #block = new BlockList()

  /** @param range IPv4 range such as `10.96.0.0/16` */
  constructor(store: Store, range: string) {
    this.#store = store
    this.#range = range
    const [address = '', prefix = '32'] = range.split('/')
    this.#base = toNumber(address)
    this.#size = 2 ** (32 - Number(prefix))
    this.#block.addSubnet(address, Number(prefix), 'ipv4')
  }

  /** The address of the service `kubernetes`. */
  get apiServerIp(): string {
    return toIp(this.#base + 1)
  }

  /** @throws KubeError 422 when the wanted address is taken or outside of the range, or none is left */
  clusterIp(wanted: string | undefined, service: StoredObject): string {
    const taken = this.#takenIps(service)
    if (wanted === undefined) return this.#free(taken, service)
    if (!isIPv4(wanted) || !this.#block.check(wanted, 'ipv4')) {
      throw refused(
        service,
        'spec.clusterIPs',
        [wanted],
        `the provided IP is not in the valid range. The range of valid IPs is ${this.#range}`,
      )
    }
    if (taken.has(wanted))
      throw refused(service, 'spec.clusterIPs', [wanted], 'provided IP is already allocated')
    return wanted
  }

  /** @throws KubeError 422 when the wanted port is taken or outside of the range */
  nodePort(wanted: number | undefined, service: StoredObject): number {
    const taken = this.#takenNodePorts(service)
    if (wanted !== undefined) {
      const inRange = wanted >= firstNodePort && wanted <= lastNodePort
      if (!inRange)
        throw refused(
          service,
          'spec.ports[0].nodePort',
          wanted,
          `provided port is not in the valid range. The range of valid ports is ${firstNodePort}-${lastNodePort}`,
        )
      if (taken.has(wanted))
        throw refused(service, 'spec.ports[0].nodePort', wanted, 'provided port is already allocated')
      return wanted
    }
    for (let tries = 0; tries < 10_000; tries++) {
      const port = randomInt(firstNodePort, lastNodePort + 1)
      if (!taken.has(port)) return port
    }
    throw refused(service, 'spec.ports[0].nodePort', 0, 'no node port is left')
  }

  #others(service: StoredObject): StoredObject[] {
    const { name, namespace } = service.metadata
    return this.#store
      .list<StoredObject>(resources.services)
      .items.filter((other) => other.metadata.name !== name || other.metadata.namespace !== namespace)
  }

  #takenIps(service: StoredObject): Set<string> {
    return new Set(this.#others(service).map((other) => stringAt(other, ['spec', 'clusterIP']) ?? ''))
  }

  #takenNodePorts(service: StoredObject): Set<number> {
    const ports = [service, ...this.#others(service)].flatMap((other) => objectsAt(other, ['spec', 'ports']))
    return new Set(ports.map((port) => Number(port.nodePort ?? 0)))
  }

  /** The low part of the range stays free for addresses that are asked for by name, such as that of DNS. */
  #free(taken: ReadonlySet<string>, service: StoredObject): string {
    const reserved = Math.min(Math.max(16, Math.floor(this.#size / 16)), 256)
    const start = randomInt(reserved, this.#size - 1)
    for (let step = 0; step < this.#size; step++) {
      const offset = reserved + ((start - reserved + step) % (this.#size - reserved - 1))
      const ip = toIp(this.#base + offset)
      if (!taken.has(ip)) return ip
    }
    throw refused(service, 'spec.clusterIPs', null, `no address is left in ${this.#range}`)
  }
}

function refused(service: StoredObject, field: string, value: unknown, why: string): Error {
  return invalid('Service', '', service.metadata.name, [invalidValue(field, value, why)])
}
