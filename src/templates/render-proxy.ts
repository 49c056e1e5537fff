import type { ControlPlaneComponent, ProxyContext, RenderedProxy } from './context.ts'
import { renderDocument } from './render.ts'
import type { ResourceValues } from './values.ts'

/** A control-plane service as a proxy reaches it: where, and which identity it must prove. */
interface ServiceTarget {
  address: string
  name: string
}

interface TargetSpec {
  service: string
  port: number
  serviceAccount: string
  /** The controller that serves it: the proxy beside that one goes over loopback. */
  component: ControlPlaneComponent
}

const targets = {
  destination: {
    service: 'linkerd-dst-headless',
    port: 8086,
    serviceAccount: 'linkerd-destination',
    component: 'destination',
  },
  policy: {
    service: 'linkerd-policy',
    port: 8090,
    serviceAccount: 'linkerd-destination',
    component: 'destination',
  },
  identity: {
    service: 'linkerd-identity-headless',
    port: 8080,
    serviceAccount: 'linkerd-identity',
    component: 'identity',
  },
} satisfies Record<string, TargetSpec>

function targetOf(context: ProxyContext, spec: TargetSpec): ServiceTarget {
  const { controlPlaneNamespace: namespace, clusterDomain, identityTrustDomain } = context
  return {
    // The trailing dot keeps the search list of resolv.conf out of it.
    address:
      context.component === spec.component
        ? `127.0.0.1:${spec.port}`
        : `${spec.service}.${namespace}.svc.${clusterDomain}.:${spec.port}`,
    name: `${spec.serviceAccount}.${namespace}.serviceaccount.identity.${namespace}.${identityTrustDomain}`,
  }
}

function listenAddresses(context: ProxyContext): Record<string, string> {
  const { inbound, outbound, admin, control } = context.proxy.ports
  const any = context.disableIPv6 ? '0.0.0.0' : '[::]'
  const loopback = `127.0.0.1:${outbound}`
  return {
    inbound: `${any}:${inbound}`,
    outbound: loopback,
    outboundAll: context.disableIPv6 ? loopback : `${loopback},[::1]:${outbound}`,
    admin: `${any}:${admin}`,
    control: `${any}:${control}`,
  }
}

/** Whole CPUs of a Kubernetes quantity, rounded up: `1500m` is 2. One when nothing is said. */
function coresOf(resources: ResourceValues): number {
  const quantity = resources.cpu.limit || resources.cpu.request
  const match = /^(\d+(?:\.\d+)?)(m?)$/.exec(quantity)
  if (match === null) return 1
  return Math.max(1, Math.ceil(Number(match[1]) / (match[2] === 'm' ? 1000 : 1)))
}

/** `resources` of a container, or nothing when no quantity is given. */
export function containerResources(resources: ResourceValues): Record<string, unknown> | undefined {
  const side = (which: 'request' | 'limit') => {
    const entries = [
      ['cpu', resources.cpu[which]],
      ['memory', resources.memory[which]],
    ].filter(([, quantity]) => quantity !== '')
    return entries.length === 0 ? undefined : Object.fromEntries(entries)
  }
  const requests = side('request')
  const limits = side('limit')
  if (requests === undefined && limits === undefined) return undefined
  return { ...(limits === undefined ? {} : { limits }), ...(requests === undefined ? {} : { requests }) }
}

/** Joins lists of ports and drops what is empty. */
function portList(...parts: (string | number)[]): string {
  return parts.map(String).filter(Boolean).join(',')
}

/** What the templates of `proxy/` read: every field is there, those that may be absent are `null`. */
function templateContext(context: ProxyContext): object {
  const { proxy } = context
  return {
    ...context,
    image: `${proxy.image.name}:${proxy.image.version}`,
    sidecar: context.component !== 'identity',
    ingress: context.ingress ?? false,
    // Everything waits for the control plane.
    readinessPeriod: context.component === undefined ? 10 : 2,
    cores: String(coresOf(proxy.resources)),
    resources: containerResources(proxy.resources) ?? null,
    listen: listenAddresses(context),
    services: {
      destination: targetOf(context, targets.destination),
      policy: targetOf(context, targets.policy),
      identity: targetOf(context, targets.identity),
    },
    profileSuffixes: `svc.${context.clusterDomain}.`,
    // As text, in the order of text: Linkerd's controllers and proxies agree on it.
    inboundPortList: context.inboundPorts.map(String).toSorted().join(','),
    requireTlsInboundPorts: context.component === 'identity' ? '8080' : '',
    anchorText: context.trustAnchors.kind === 'pem' ? context.trustAnchors.pem : null,
    inboundPort: String(proxy.ports.inbound),
    outboundPort: String(proxy.ports.outbound),
    proxyUid: String(proxy.uid),
    ignoredInboundPorts: portList(proxy.ports.control, proxy.ports.admin, proxy.skipInboundPorts),
  }
}

/**
 * Renders what a pod gets: the container that loads the redirect rules, the proxy, and their volumes.
 * @throws MeshError `MESH_TEMPLATE`, a defect of ours
 */
export function renderProxy(context: ProxyContext): RenderedProxy {
  const values = templateContext(context)
  return {
    redirectContainer: renderDocument('proxy/redirect.hbs', values) as Record<string, unknown>,
    proxyContainer: renderDocument('proxy/container.hbs', values) as Record<string, unknown>,
    volumes: renderDocument('proxy/volumes.hbs', values) as Record<string, unknown>[],
  }
}
