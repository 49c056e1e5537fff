/** The fixed addresses of the local cluster. They exist only inside its own network namespace. */
export const addresses = {
  podRange: '10.244.0.0/16',
  podRangeIpv6: 'fd00:10:244::/64',
  serviceRange: '10.96.0.0/16',
  /** The node, as pods and the API see it. */
  node: '10.244.0.1',
  nodeIpv6: 'fd00:10:244::1',
  /** ClusterIP of the service `kubernetes`. */
  apiService: '10.96.0.1',
  /** ClusterIP of the service `kube-dns`. */
  dnsService: '10.96.0.10',
  /** Every pod's next hop; the same for all, since each is alone on its link. */
  gateway: '169.254.1.1',
  gatewayIpv6: 'fe80::1',
} as const

/** Port of the API server inside the cluster. */
export const apiPort = 6443
export const nodeName = 'mesh-local'
export const clusterDomain = 'cluster.local'
