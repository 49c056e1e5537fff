import { cpus, totalmem } from 'node:os'
import { resources } from '../../../kube/resources.ts'
import { meshVersion } from '../../../shared/version.ts'
import { addresses, nodeName } from '../../addresses.ts'
import { type Cluster, timestamp } from '../../cluster.ts'
import type { Condition, Node } from '../../objects.ts'

const heartbeatMs = 60_000

/** Keeps the one Node object, with its heartbeat. */
export async function serveNode(cluster: Cluster): Promise<void> {
  const since = timestamp(cluster.clock.nowMs())
  await cluster.client.create(resources.nodes, nodeObject())
  const beat = () => writeStatus(cluster, since)
  await beat()
  void (async () => {
    while (!cluster.signal.aborted) {
      await cluster.clock.sleep(heartbeatMs, cluster.signal).catch(() => undefined)
      if (!cluster.signal.aborted) await beat().catch(() => undefined)
    }
  })()
}

function nodeObject(): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: {
        'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
        'kubernetes.io/hostname': nodeName,
        'kubernetes.io/os': 'linux',
        'node-role.kubernetes.io/control-plane': '',
      },
    },
    spec: { podCIDR: addresses.podRange, podCIDRs: [addresses.podRange, addresses.podRangeIpv6] },
  }
}

async function writeStatus(cluster: Cluster, since: string): Promise<void> {
  const resourcesOfNode = {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: '250',
  }
  const status = {
    addresses: [
      { type: 'InternalIP', address: addresses.node },
      { type: 'Hostname', address: nodeName },
    ],
    capacity: resourcesOfNode,
    allocatable: resourcesOfNode,
    conditions: conditions(timestamp(cluster.clock.nowMs()), since),
    nodeInfo: {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      containerRuntimeVersion: `mesh://${meshVersion}`,
      kubeletVersion: `v${meshVersion}`,
      operatingSystem: 'linux',
      osImage: 'mesh local cluster',
    },
  }
  await cluster.client.mergePatch(resources.nodes, nodeName, { status }, { subresource: 'status' })
}

function conditions(now: string, since: string): (Condition & { lastHeartbeatTime: string })[] {
  const times = { lastHeartbeatTime: now, lastTransitionTime: since }
  const pressures = ['MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
    type,
    status: 'False' as const,
    reason: 'NotMeasured',
    message: 'the local cluster does not measure this',
    ...times,
  }))
  const ready = { reason: 'NodeReady', message: 'the node agent is ready', ...times }
  return [...pressures, { type: 'Ready', status: 'True', ...ready }]
}
