import { meshVersion } from '../runtime/shared/version.ts'

/** An image by repository and tag. */
export interface ImageValues {
  /** Repository with its registry, without a tag. */
  name: string
  /** Tag. */
  version: string
  pullPolicy: 'Always' | 'IfNotPresent' | 'Never'
}

export interface ResourceValues {
  cpu: { request: string; limit: string }
  memory: { request: string; limit: string }
}

/** How proxies are configured unless an annotation says otherwise. */
export interface ProxyValues {
  image: ImageValues
  uid: number
  gid: number
  ports: { inbound: number; outbound: number; admin: number; control: number }
  /** Ports, and ranges `a-b`, separated by commas. */
  opaquePorts: string
  skipInboundPorts: string
  skipOutboundPorts: string
  /** CIDRs separated by commas. */
  skipSubnets: string
  defaultInboundPolicy: string
  /** Grammar of tracing directives: `warn,linkerd=info`. */
  logLevel: string
  logFormat: 'plain' | 'json'
  /** Empty: off. */
  accessLog: '' | 'apache' | 'json'
  inboundConnectTimeout: string
  outboundConnectTimeout: string
  inboundDiscoveryCacheUnusedTimeout: string
  outboundDiscoveryCacheUnusedTimeout: string
  shutdownGracePeriod: string
  resources: ResourceValues
}

/** Everything that an installation can be told. Documented, with ranges, in `values.schema.json`. */
export interface Values {
  /** Namespace of the control plane. */
  namespace: string
  clusterDomain: string
  identityTrustDomain: string
  /** CIDRs of pods and services, separated by commas. */
  clusterNetworks: string
  disableIPv6: boolean
  controllerImage: ImageValues
  controllerReplicas: number
  controllerUID: number
  controllerLogLevel: string
  identity: { issuanceLifetime: string; clockSkewAllowance: string }
  enableH2Upgrade: boolean
  webhookFailurePolicy: 'Ignore' | 'Fail'
  /** Spreads replicas over nodes and zones, and keeps disruptions to one at a time. */
  highAvailability: boolean
  /** Of each controller's container. */
  controllerResources: ResourceValues
  /** Whether `install --crds` also installs the Gateway API's HTTPRoute and GRPCRoute. */
  installGatewayAPI: boolean
  proxy: ProxyValues
}

/** The default registry is the one that local builds are named by; a real one is given by `--registry`. */
export const defaultRegistry = 'localhost/mesh'

export const defaultValues: Values = {
  namespace: 'linkerd',
  clusterDomain: 'cluster.local',
  identityTrustDomain: 'cluster.local',
  clusterNetworks: '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8',
  disableIPv6: false,
  controllerImage: {
    name: `${defaultRegistry}/controller`,
    version: meshVersion,
    pullPolicy: 'IfNotPresent',
  },
  controllerReplicas: 1,
  controllerUID: 2103,
  controllerLogLevel: 'info',
  identity: { issuanceLifetime: '24h', clockSkewAllowance: '20s' },
  enableH2Upgrade: true,
  webhookFailurePolicy: 'Ignore',
  highAvailability: false,
  controllerResources: { cpu: { request: '', limit: '' }, memory: { request: '', limit: '' } },
  installGatewayAPI: false,
  proxy: {
    image: { name: `${defaultRegistry}/proxy`, version: meshVersion, pullPolicy: 'IfNotPresent' },
    uid: 2102,
    gid: 2102,
    ports: { inbound: 4143, outbound: 4140, admin: 4191, control: 4190 },
    opaquePorts: '25,587,3306,4444,5432,6379,9300,11211',
    skipInboundPorts: '4567,4568',
    skipOutboundPorts: '4567,4568',
    skipSubnets: '',
    defaultInboundPolicy: 'all-unauthenticated',
    logLevel: 'warn,linkerd=info',
    logFormat: 'plain',
    accessLog: '',
    inboundConnectTimeout: '100ms',
    outboundConnectTimeout: '1000ms',
    inboundDiscoveryCacheUnusedTimeout: '90s',
    outboundDiscoveryCacheUnusedTimeout: '5s',
    shutdownGracePeriod: '2m',
    resources: { cpu: { request: '', limit: '' }, memory: { request: '', limit: '' } },
  },
}

/** The part of a tree of values that is not as in the defaults; empty when all of it is. */
export function differencesFrom(defaults: object, values: object): Record<string, unknown> {
  const differences: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(values)) {
    const standard: unknown = (defaults as Record<string, unknown>)[key]
    if (typeof value === 'object' && value !== null && typeof standard === 'object' && standard !== null) {
      const below = differencesFrom(standard, value as object)
      if (Object.keys(below).length > 0) differences[key] = below
    } else if (value !== standard) {
      differences[key] = value
    }
  }
  return differences
}
