import type { ProxyValues, Values } from './values.ts'

/** Which controller a proxy stands beside; it reaches that one over loopback. */
export type ControlPlaneComponent = 'identity' | 'destination' | 'proxy-injector'

/** What `proxy/*.hbs` is rendered from: one pod's proxy, every setting decided. */
export interface ProxyContext {
  /** Namespace of the control plane. */
  controlPlaneNamespace: string
  clusterDomain: string
  identityTrustDomain: string
  clusterNetworks: string
  disableIPv6: boolean
  /** The proxy's settings after the annotations of namespace and pod. */
  proxy: ProxyValues
  /** Ports whose policy the proxy loads at start: container ports and HTTP probe ports. */
  inboundPorts: readonly number[]
  /** Ports that refuse clients without an identity. */
  requireIdentityInboundPorts: string
  /** Where the trust anchors come from: text for application pods, the ConfigMap for the control plane's own. */
  trustAnchors: { kind: 'pem'; pem: string } | { kind: 'configMap'; name: string; key: string }
  /** Set for the control plane's own proxies. */
  component?: ControlPlaneComponent
  /** Whether the pod is an ingress (`linkerd.io/inject: ingress`): routing by `l5d-dst-override`. */
  ingress?: boolean
  /** Further variables, from `config.linkerd.io/proxy-additional-env`. */
  additionalEnv: readonly { name: string; value: string }[]
}

/** What is added to a pod. Shapes are those of `core/v1`. */
export interface RenderedProxy {
  /** Loads the redirect rules; the first init container. */
  redirectContainer: Record<string, unknown>
  /** The proxy; a native sidecar (`restartPolicy: Always`) unless it stands beside identity. */
  proxyContainer: Record<string, unknown>
  /** Volumes that both need. */
  volumes: Record<string, unknown>[]
}

/**
 * The settings of a control plane's own proxy.
 * @param ports.meshed ports that the proxy serves
 * @param ports.admin port of probes and metrics; it bypasses the proxy, so that no probe waits for the policy that the
 * controllers themselves serve
 */
export function controlPlaneProxyContext(
  values: Values,
  component: ControlPlaneComponent,
  ports: { meshed: readonly number[]; admin: number },
): ProxyContext {
  const skipInboundPorts = [values.proxy.skipInboundPorts, String(ports.admin)].filter(Boolean).join(',')
  return {
    controlPlaneNamespace: values.namespace,
    clusterDomain: values.clusterDomain,
    identityTrustDomain: values.identityTrustDomain,
    clusterNetworks: values.clusterNetworks,
    disableIPv6: values.disableIPv6,
    proxy: {
      ...values.proxy,
      skipInboundPorts,
      // Controllers reach the API server without their proxy: it starts after them, or never.
      skipOutboundPorts: '443,6443',
      defaultInboundPolicy: 'all-unauthenticated',
    },
    inboundPorts: ports.meshed,
    requireIdentityInboundPorts: '',
    trustAnchors: { kind: 'configMap', name: 'linkerd-identity-trust-roots', key: 'ca-bundle.crt' },
    component,
    additionalEnv: [],
  }
}
