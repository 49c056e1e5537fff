import type { Cluster } from '../cluster.ts'
import { KeyedQueue } from '../queue.ts'
import { runTool, type Tools } from '../tools.ts'
import { renderServiceRules } from './service-rules.ts'

/** Changes that come together are loaded together. */
const settleMs = 10

/** Keeps the kernel's rules for ClusterIPs in step with services and their endpoints. */
export function serveServiceRules(cluster: Cluster, tools: Tools): void {
  const { services, endpointSlices } = cluster.cache
  let loaded = ''
  const queue = new KeyedQueue(async () => {
    const rules = renderServiceRules(services.list(), endpointSlices.list())
    if (rules === loaded) return undefined
    await runTool(tools.nft, ['-f', '-'], rules)
    loaded = rules
    return undefined
  }, cluster)
  services.onChange(() => queue.add('rules', settleMs))
  endpointSlices.onChange(() => queue.add('rules', settleMs))
}
