import type { Resource } from './types.ts'

function namespaced(group: string, version: string, plural: string, kind: string): Resource {
  return { group, version, plural, kind, namespaced: true }
}

function clusterWide(group: string, version: string, plural: string, kind: string): Resource {
  return { group, version, plural, kind, namespaced: false }
}

/** The kinds that mesh reads or writes. */
export const resources = {
  namespaces: clusterWide('', 'v1', 'namespaces', 'Namespace'),
  nodes: clusterWide('', 'v1', 'nodes', 'Node'),
  pods: namespaced('', 'v1', 'pods', 'Pod'),
  services: namespaced('', 'v1', 'services', 'Service'),
  serviceAccounts: namespaced('', 'v1', 'serviceaccounts', 'ServiceAccount'),
  configMaps: namespaced('', 'v1', 'configmaps', 'ConfigMap'),
  secrets: namespaced('', 'v1', 'secrets', 'Secret'),
  events: namespaced('', 'v1', 'events', 'Event'),
  endpointSlices: namespaced('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  deployments: namespaced('apps', 'v1', 'deployments', 'Deployment'),
  replicaSets: namespaced('apps', 'v1', 'replicasets', 'ReplicaSet'),
  daemonSets: namespaced('apps', 'v1', 'daemonsets', 'DaemonSet'),
  statefulSets: namespaced('apps', 'v1', 'statefulsets', 'StatefulSet'),
  jobs: namespaced('batch', 'v1', 'jobs', 'Job'),
  cronJobs: namespaced('batch', 'v1', 'cronjobs', 'CronJob'),
  leases: namespaced('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  clusterRoles: clusterWide('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole'),
  clusterRoleBindings: clusterWide(
    'rbac.authorization.k8s.io',
    'v1',
    'clusterrolebindings',
    'ClusterRoleBinding',
  ),
  customResourceDefinitions: clusterWide(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
  ),
  mutatingWebhookConfigurations: clusterWide(
    'admissionregistration.k8s.io',
    'v1',
    'mutatingwebhookconfigurations',
    'MutatingWebhookConfiguration',
  ),
  validatingWebhookConfigurations: clusterWide(
    'admissionregistration.k8s.io',
    'v1',
    'validatingwebhookconfigurations',
    'ValidatingWebhookConfiguration',
  ),
  tokenReviews: clusterWide('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview'),
  selfSubjectAccessReviews: clusterWide(
    'authorization.k8s.io',
    'v1',
    'selfsubjectaccessreviews',
    'SelfSubjectAccessReview',
  ),
  subjectAccessReviews: clusterWide(
    'authorization.k8s.io',
    'v1',
    'subjectaccessreviews',
    'SubjectAccessReview',
  ),
  servers: namespaced('policy.linkerd.io', 'v1beta3', 'servers', 'Server'),
  authorizationPolicies: namespaced(
    'policy.linkerd.io',
    'v1alpha1',
    'authorizationpolicies',
    'AuthorizationPolicy',
  ),
  meshTLSAuthentications: namespaced(
    'policy.linkerd.io',
    'v1alpha1',
    'meshtlsauthentications',
    'MeshTLSAuthentication',
  ),
  networkAuthentications: namespaced(
    'policy.linkerd.io',
    'v1alpha1',
    'networkauthentications',
    'NetworkAuthentication',
  ),
  serverAuthorizations: namespaced(
    'policy.linkerd.io',
    'v1beta1',
    'serverauthorizations',
    'ServerAuthorization',
  ),
  policyHttpRoutes: namespaced('policy.linkerd.io', 'v1beta3', 'httproutes', 'HTTPRoute'),
  httpLocalRateLimitPolicies: namespaced(
    'policy.linkerd.io',
    'v1alpha1',
    'httplocalratelimitpolicies',
    'HTTPLocalRateLimitPolicy',
  ),
  egressNetworks: namespaced('policy.linkerd.io', 'v1alpha1', 'egressnetworks', 'EgressNetwork'),
  gatewayHttpRoutes: namespaced('gateway.networking.k8s.io', 'v1', 'httproutes', 'HTTPRoute'),
  gatewayGrpcRoutes: namespaced('gateway.networking.k8s.io', 'v1', 'grpcroutes', 'GRPCRoute'),
  trafficSplits: namespaced('split.smi-spec.io', 'v1alpha2', 'trafficsplits', 'TrafficSplit'),
  serviceProfiles: namespaced('linkerd.io', 'v1alpha2', 'serviceprofiles', 'ServiceProfile'),
} as const satisfies Record<string, Resource>

/** The API path of a resource, or of one object of it. */
export function pathOf(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const scope =
    resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`
  return `${root}${scope}/${resource.plural}${object}${subresource === undefined ? '' : `/${subresource}`}`
}
