import type { StoredObject } from '../objects.ts'

const apiVersion = 'rbac.authorization.k8s.io/v1'
const bootstrapLabels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
const readVerbs = ['get', 'list', 'watch']
const writeVerbs = ['create', 'delete', 'deletecollection', 'patch', 'update']
const allVerbs = [...readVerbs, ...writeVerbs]

interface Rule {
  verbs: string[]
  apiGroups?: string[]
  resources?: string[]
  nonResourceURLs?: string[]
}

function clusterRole(name: string, rules: Rule[], labels: Record<string, string> = {}): StoredObject {
  return {
    apiVersion,
    kind: 'ClusterRole',
    metadata: { name, labels: { ...bootstrapLabels, ...labels } },
    rules,
  }
}

function aggregated(name: string, labels: Record<string, string> = {}): StoredObject {
  const matchLabels = { [`rbac.authorization.k8s.io/aggregate-to-${name}`]: 'true' }
  return { ...clusterRole(name, [], labels), aggregationRule: { clusterRoleSelectors: [{ matchLabels }] } }
}

function aggregateTo(name: string): Record<string, string> {
  return { [`rbac.authorization.k8s.io/aggregate-to-${name}`]: 'true' }
}

function binding(role: string, groups: string[]): StoredObject {
  return {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: { name: role, labels: bootstrapLabels },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: groups.map((name) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name })),
  }
}

function rule(verbs: string[], apiGroup: string, ...resources: string[]): Rule {
  return { verbs, apiGroups: [apiGroup], resources }
}

const workloads = ['deployments', 'replicasets', 'statefulsets', 'daemonsets']
const scalable = ['deployments/scale', 'replicasets/scale', 'statefulsets/scale']
const coreObjects = ['configmaps', 'endpoints', 'events', 'pods', 'serviceaccounts', 'services']

const viewRules: Rule[] = [
  rule(
    readVerbs,
    '',
    ...coreObjects,
    'namespaces',
    'pods/log',
    'pods/status',
    'services/status',
    'namespaces/status',
  ),
  rule(readVerbs, 'discovery.k8s.io', 'endpointslices'),
  rule(
    readVerbs,
    'apps',
    ...workloads,
    ...scalable,
    ...workloads.map((plural) => `${plural}/status`),
    'controllerrevisions',
  ),
  rule(readVerbs, 'batch', 'jobs', 'cronjobs', 'jobs/status', 'cronjobs/status'),
  rule(readVerbs, 'policy', 'poddisruptionbudgets', 'poddisruptionbudgets/status'),
  rule(readVerbs, 'networking.k8s.io', 'ingresses', 'ingresses/status', 'networkpolicies'),
]

const editRules: Rule[] = [
  rule(
    allVerbs,
    '',
    'pods',
    'pods/attach',
    'pods/exec',
    'pods/portforward',
    'pods/proxy',
    'secrets',
    'services/proxy',
  ),
  rule(writeVerbs, '', ...coreObjects),
  rule(['create'], '', 'pods/eviction', 'serviceaccounts/token'),
  rule(['impersonate'], '', 'serviceaccounts'),
  rule(writeVerbs, 'apps', ...workloads, ...scalable),
  rule(writeVerbs, 'batch', 'jobs', 'cronjobs'),
  rule(writeVerbs, 'policy', 'poddisruptionbudgets'),
  rule(writeVerbs, 'networking.k8s.io', 'ingresses', 'networkpolicies'),
  rule(allVerbs, 'coordination.k8s.io', 'leases'),
]

const adminRules: Rule[] = [
  rule(['create'], 'authorization.k8s.io', 'localsubjectaccessreviews'),
  rule(allVerbs, 'rbac.authorization.k8s.io', 'roles', 'rolebindings'),
]

const healthPaths = ['/healthz', '/livez', '/readyz', '/version', '/version/']
const discoveryPaths = ['/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*', ...healthPaths]
const issuerPaths = ['/.well-known/openid-configuration', '/openid/v1/jwks']

/** The roles and bindings that every cluster starts with, as far as they have a meaning here. */
export const bootstrapRoles: readonly StoredObject[] = [
  clusterRole('cluster-admin', [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ]),
  clusterRole('system:discovery', [{ verbs: ['get'], nonResourceURLs: discoveryPaths }]),
  clusterRole('system:public-info-viewer', [{ verbs: ['get'], nonResourceURLs: healthPaths }]),
  clusterRole('system:basic-user', [
    rule(['create'], 'authorization.k8s.io', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'),
    rule(['create'], 'authentication.k8s.io', 'selfsubjectreviews'),
  ]),
  clusterRole('system:auth-delegator', [
    rule(['create'], 'authentication.k8s.io', 'tokenreviews'),
    rule(['create'], 'authorization.k8s.io', 'subjectaccessreviews'),
  ]),
  clusterRole('system:service-account-issuer-discovery', [{ verbs: ['get'], nonResourceURLs: issuerPaths }]),
  clusterRole('system:aggregate-to-view', viewRules, aggregateTo('view')),
  clusterRole('system:aggregate-to-edit', editRules, aggregateTo('edit')),
  clusterRole('system:aggregate-to-admin', adminRules, aggregateTo('admin')),
  aggregated('view', aggregateTo('edit')),
  aggregated('edit', aggregateTo('admin')),
  aggregated('admin'),
]

export const bootstrapBindings: readonly StoredObject[] = [
  binding('cluster-admin', ['system:masters']),
  binding('system:discovery', ['system:authenticated']),
  binding('system:basic-user', ['system:authenticated']),
  binding('system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']),
  binding('system:service-account-issuer-discovery', ['system:serviceaccounts']),
]
