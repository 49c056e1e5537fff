import { resources } from '../../../kube/resources.ts'
import type { KubeClient, KubeObject, Resource } from '../../../kube/types.ts'
import type { StoredObject } from '../objects.ts'
import { bootstrapBindings, bootstrapRoles } from './roles.ts'

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const secureLabels = { component: 'apiserver', provider: 'kubernetes' }

const endpointsResource: Resource = {
  group: '',
  version: 'v1',
  plural: 'endpoints',
  kind: 'Endpoints',
  namespaced: true,
}

function apiService(clusterIP: string, port: number): StoredObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kubernetes', namespace: 'default', labels: secureLabels },
    spec: { clusterIP, ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }] },
  }
}

function apiEndpointSlice(endpoints: readonly { ip: string; port: number }[]): StoredObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': 'kubernetes' },
    },
    addressType: 'IPv4',
    endpoints: endpoints.map(({ ip }) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: [{ name: 'https', port: endpoints[0]?.port ?? 6443, protocol: 'TCP' }],
  }
}

function apiEndpoints(endpoints: readonly { ip: string; port: number }[]): StoredObject {
  const addresses = endpoints.map(({ ip }) => ({ ip }))
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'kubernetes', namespace: 'default' },
    subsets: [{ addresses, ports: [{ name: 'https', port: endpoints[0]?.port ?? 6443, protocol: 'TCP' }] }],
  } as unknown as StoredObject
}

/**
 * Creates what every cluster starts with: namespaces, roles, and the service `kubernetes`.
 * @param serviceIp address of the service
 * @param endpoints where the server listens for the pods; no service when empty
 */
export async function createBootstrapObjects(
  client: KubeClient,
  serviceIp: string,
  endpoints: readonly { ip: string; port: number }[],
): Promise<void> {
  const create = (resource: Resource, object: KubeObject) => client.create(resource, object)
  for (const name of namespaces) {
    await create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  for (const role of bootstrapRoles) await create(resources.clusterRoles, role)
  for (const binding of bootstrapBindings) await create(resources.clusterRoleBindings, binding)
  await create(resources.services, apiService(serviceIp, endpoints[0]?.port ?? 6443))
  await create(endpointsResource, apiEndpoints(endpoints))
  await create(resources.endpointSlices, apiEndpointSlice(endpoints))
}
