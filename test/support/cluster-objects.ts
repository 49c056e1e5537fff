import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import type { FakeKube } from './fake-kube.ts'

/** Anything of Kubernetes; tests write it as YAML would. */
export type Manifest = KubeObject & Record<string, unknown>

export interface PodOptions {
  namespace?: string
  ip?: string
  ips?: string[]
  isMeshed?: boolean
  controlPlane?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  node?: string
  serviceAccount?: string
  phase?: string
  owner?: { kind: string; name: string }
  ports?: { name?: string; containerPort: number; hostPort?: number }[]
  /** Variables of the proxy without their prefix. */
  proxyEnv?: Record<string, string>
  /** Merged into the application's container. */
  container?: Record<string, unknown>
  hostIp?: string
}

/** A pod as the API server has it, with a proxy as a native sidecar when it is meshed. */
export function pod(name: string, options: PodOptions = {}): Manifest {
  const { namespace = 'shop', ip = '10.244.0.1', isMeshed = true, controlPlane = 'linkerd' } = options
  const proxyEnv = { INBOUND_LISTEN_ADDR: '0.0.0.0:4143', ...options.proxyEnv }
  return {
    metadata: {
      name,
      namespace,
      labels: {
        ...(isMeshed ? { 'linkerd.io/control-plane-ns': controlPlane } : {}),
        ...options.labels,
      },
      annotations: options.annotations ?? {},
      ...(options.owner === undefined
        ? {}
        : { ownerReferences: [{ apiVersion: 'apps/v1', uid: 'u', controller: true, ...options.owner }] }),
    },
    spec: {
      nodeName: options.node ?? 'node-1',
      serviceAccountName: options.serviceAccount ?? 'default',
      ...(isMeshed ? { initContainers: [proxyContainer(proxyEnv)] } : {}),
      containers: [{ name: 'app', ports: options.ports ?? [], ...options.container }],
    },
    status: {
      phase: options.phase ?? 'Running',
      podIP: ip,
      podIPs: (options.ips ?? [ip]).map((each) => ({ ip: each })),
      hostIP: options.hostIp ?? '192.168.0.1',
    },
  }
}

function proxyContainer(env: Record<string, string>): Record<string, unknown> {
  return {
    name: 'linkerd-proxy',
    restartPolicy: 'Always',
    ports: [
      { name: 'linkerd-proxy', containerPort: 4143 },
      { name: 'linkerd-admin', containerPort: 4191 },
    ],
    env: Object.entries(env).map(([key, value]) => ({ name: `LINKERD2_PROXY_${key}`, value })),
    readinessProbe: { httpGet: { path: '/ready', port: 4191 } },
  }
}

export interface ServiceOptions {
  namespace?: string
  clusterIp?: string
  ports?: { name?: string; port: number; targetPort?: number | string; appProtocol?: string }[]
  annotations?: Record<string, string>
  spec?: Record<string, unknown>
}

export function service(name: string, options: ServiceOptions = {}): Manifest {
  return {
    metadata: { name, namespace: options.namespace ?? 'shop', annotations: options.annotations ?? {} },
    spec: {
      clusterIP: options.clusterIp ?? '10.96.0.20',
      ports: options.ports ?? [{ port: 80, targetPort: 8080 }],
      ...options.spec,
    },
  }
}

export interface SliceEndpointOptions {
  pod?: string
  ip: string
  ready?: boolean
  hostname?: string
  node?: string
  zone?: string
  hints?: string[]
}

export function slice(
  serviceName: string,
  endpoints: SliceEndpointOptions[],
  options: {
    namespace?: string
    name?: string
    ports?: { name?: string; port: number }[]
    annotations?: Record<string, string>
  } = {},
): Manifest {
  const { namespace = 'shop', name = `${serviceName}-abcde` } = options
  return {
    metadata: {
      name,
      namespace,
      labels: { 'kubernetes.io/service-name': serviceName },
      annotations: options.annotations ?? {},
    },
    addressType: 'IPv4',
    ports: options.ports ?? [{ name: '', port: 8080 }],
    endpoints: endpoints.map(({ pod: podName, ip, ready = true, hostname, node, zone, hints }) => ({
      addresses: [ip],
      conditions: { ready },
      ...(podName === undefined ? {} : { targetRef: { kind: 'Pod', name: podName, namespace } }),
      ...(hostname === undefined ? {} : { hostname }),
      ...(node === undefined ? {} : { nodeName: node }),
      ...(zone === undefined ? {} : { zone }),
      ...(hints === undefined ? {} : { hints: { forZones: hints.map((each) => ({ name: each })) } }),
    })),
  }
}

/** One meshed pod behind one Service, `web` in `shop`. */
export function putWeb(kube: FakeKube): void {
  kube.put(
    resources.pods,
    pod('web-1', {
      ip: '10.244.0.5',
      owner: { kind: 'ReplicaSet', name: 'web-7d9' },
      labels: { app: 'web', 'pod-template-hash': '7d9' },
      serviceAccount: 'web',
      ports: [{ name: 'http', containerPort: 8080 }],
    }),
  )
  kube.put(resources.replicaSets, {
    metadata: {
      name: 'web-7d9',
      namespace: 'shop',
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'u', controller: true },
      ],
    },
  })
  kube.put(resources.nodes, {
    metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'zone-a' } },
  })
  kube.put(resources.services, service('web'))
  kube.put(resources.endpointSlices, slice('web', [{ pod: 'web-1', ip: '10.244.0.5' }]))
}
