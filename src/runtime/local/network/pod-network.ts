import { existsSync } from 'node:fs'
import { addresses } from '../addresses.ts'
import { runTool, type Tools } from '../tools.ts'
import { AddressPool, type PodAddresses } from './address-pool.ts'

/** The network namespace of a pod. */
export interface PodLink extends PodAddresses {
  /** Name of the namespace. */
  netns: string
  /** Path that `nsenter --net` takes. */
  netnsPath: string
}

/** MAC address of the node's end of every link: each link has only two ends, so it needs no other. */
const nodeMac = 'ee:ee:ee:ee:ee:ee'
const firstLinkIndex = 1_000

/**
 * Joins pods to the node, each by a link of its own. A pod's only neighbour is the node, under one address for all,
 * and the node has a route to each pod. Neighbours are written down, so nothing is ever resolved.
 */
export class PodNetwork {
  readonly #tools: Tools
  readonly #pool = new AddressPool()
  readonly #hasIpv6: boolean

  constructor(tools: Tools, hasIpv6 = existsSync('/proc/sys/net/ipv6')) {
    this.#tools = tools
    this.#hasIpv6 = hasIpv6
  }

  /** Makes this process's own namespace the node: loopback, forwarding and the cluster's addresses. */
  async setUpNode(): Promise<void> {
    const { node, nodeIpv6, apiService, dnsService, gateway } = addresses
    const own = [node, apiService, dnsService, gateway]
    // The first namespace makes the folder for all; two at the same time would hide each other's.
    const folder = ['netns add first', 'netns delete first']
    const lines = [...folder, 'link set lo up', ...own.map((address) => `addr add ${address}/32 dev lo`)]
    if (this.#hasIpv6) lines.push(`addr add ${nodeIpv6}/128 dev lo nodad`)
    await this.#ipBatch(lines)
    const settings = ['ipv4/ip_forward=1', 'ipv4/conf/all/rp_filter=0', 'ipv4/conf/default/rp_filter=0']
    if (this.#hasIpv6) settings.push('ipv6/conf/all/forwarding=1')
    await runTool(this.#tools.sh, ['-c', writeSettings(settings)])
  }

  /** Makes the namespace of a pod and gives it addresses. */
  async addPod(netns: string, settings: string[] = []): Promise<PodLink> {
    const pod = this.#pool.take()
    const link: PodLink = { ...pod, netns, netnsPath: `/run/netns/${netns}` }
    try {
      await this.#ipBatch(this.#nodeEnd(link))
      const script = `${writeSettings(['ipv4/ip_unprivileged_port_start=0', ...settings])}\nexec "$0" -batch -`
      const inPod = [`--net=${link.netnsPath}`, this.#tools.sh, '-c', script, this.#tools.ip]
      await runTool(this.#tools.nsenter, inPod, `${this.#podEnd(link).join('\n')}\n`)
      return link
    } catch (error) {
      await this.removePod(link)
      throw error
    }
  }

  /** Removes the namespace; the link goes with it. */
  async removePod(link: PodLink): Promise<void> {
    await runTool(this.#tools.ip, ['netns', 'delete', link.netns]).catch(() => undefined)
    // The kernel takes namespaces down later; the link and its routes must not outlive the pod.
    await runTool(this.#tools.ip, ['link', 'delete', linkName(link)]).catch(() => undefined)
    this.#pool.giveBack(link)
  }

  #nodeEnd(pod: PodLink): string[] {
    const name = linkName(pod)
    // When both ends have the same index, the kernel takes up to a second to notice that the link is up.
    const nodeEnd = `name ${name} index ${firstLinkIndex + pod.index} address ${nodeMac}`
    const podEnd = `name eth0 address ${pod.mac} netns ${pod.netns}`
    const lines = [`netns add ${pod.netns}`, `link add ${nodeEnd} type veth peer ${podEnd}`]
    if (this.#hasIpv6) lines.push(`addr add ${addresses.gatewayIpv6}/64 dev ${name} nodad`)
    lines.push(
      `link set ${name} up`,
      `neigh replace ${pod.ipv4} lladdr ${pod.mac} dev ${name} nud permanent`,
      `route replace ${pod.ipv4}/32 dev ${name} src ${addresses.node}`,
    )
    if (this.#hasIpv6) {
      lines.push(
        `neigh replace ${pod.ipv6} lladdr ${pod.mac} dev ${name} nud permanent`,
        `route replace ${pod.ipv6}/128 dev ${name} src ${addresses.nodeIpv6}`,
      )
    }
    return lines
  }

  #podEnd(pod: PodLink): string[] {
    const { gateway, gatewayIpv6 } = addresses
    const lines = ['link set lo up', `addr add ${pod.ipv4}/32 dev eth0`]
    if (this.#hasIpv6) lines.push(`addr add ${pod.ipv6}/128 dev eth0 nodad`)
    lines.push(
      'link set eth0 up',
      `neigh replace ${gateway} lladdr ${nodeMac} dev eth0 nud permanent`,
      `route add ${gateway} dev eth0 scope link`,
      `route add default via ${gateway} dev eth0`,
    )
    if (this.#hasIpv6) {
      lines.push(
        `neigh replace ${gatewayIpv6} lladdr ${nodeMac} dev eth0 nud permanent`,
        `route add default via ${gatewayIpv6} dev eth0`,
      )
    }
    return lines
  }

  async #ipBatch(lines: string[]): Promise<void> {
    await runTool(this.#tools.ip, ['-batch', '-'], `${lines.join('\n')}\n`)
  }
}

function linkName(pod: PodAddresses): string {
  return `pod${pod.index}`
}

/** A shell script that writes kernel settings such as `ipv4/ip_forward=1` of the namespace it runs in. */
function writeSettings(settings: string[]): string {
  return settings
    .map((setting) => {
      const equals = setting.indexOf('=')
      return `echo '${setting.slice(equals + 1)}' > /proc/sys/net/${setting.slice(0, equals)}`
    })
    .join('\n')
}
