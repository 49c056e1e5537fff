import type { IpNetwork } from './ip.ts'
import type { PortSet } from './port-set.ts'

/** What the controller is told about the mesh that it serves. */
export interface MeshConfig {
  controlPlaneNamespace: string
  /** Such as `cluster.local`. */
  clusterDomain: string
  trustDomain: string
  /** Where pods and Services are. */
  clusterNetworks: readonly IpNetwork[]
  /** Ports whose bytes are not looked into unless an annotation says otherwise. */
  defaultOpaquePorts: PortSet
  /** Ports that bypass the proxy unless an annotation says otherwise. */
  defaultSkipInboundPorts: PortSet
  /** Policy of ports that nothing else decides. */
  defaultInboundPolicy: string
  /** Sources that probe routes admit. */
  probeNetworks: readonly IpNetwork[]
  /** Whether HTTP/1 between proxies travels in HTTP/2. */
  isH2UpgradeEnabled: boolean
  isIpv6Enabled: boolean
}
