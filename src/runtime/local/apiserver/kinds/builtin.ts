import { resources } from '../../../kube/resources.ts'
import type { Resource } from '../../../kube/types.ts'
import { builtinMergeSchema } from '../patch/builtin-schema.ts'
import { defineKind, type KindDefinition, type KindOptions } from '../registry/definition.ts'
import * as coreTables from '../tables/core.ts'
import * as networkTables from '../tables/network.ts'
import { podColumns } from '../tables/pods.ts'
import * as workloadTables from '../tables/workloads.ts'
import * as core from './core.ts'
import { podStrategy } from './pods.ts'
import { endpointSliceStrategy, serviceStrategy } from './services.ts'
import { typedStrategy } from './typed.ts'
import * as workloads from './workloads.ts'

function kind(resource: Resource, options: KindOptions = {}): KindDefinition {
  const strategy = { ...options.strategy, ...typedStrategy(resource.kind) }
  return defineKind(resource, { mergeSchema: builtinMergeSchema(resource.kind), ...options, strategy })
}

function namespaced(group: string, version: string, plural: string, kindName: string): Resource {
  return { group, version, plural, kind: kindName, namespaced: true }
}

function clusterWide(group: string, version: string, plural: string, kindName: string): Resource {
  return { group, version, plural, kind: kindName, namespaced: false }
}

const scale = {
  specReplicas: 'spec.replicas',
  statusReplicas: 'status.replicas',
  selector: 'spec.selector',
}

function stream(
  name: string,
  kindName: string,
  verbs = ['create', 'get'],
): KindDefinition['otherSubresources'][number] {
  return { name, kind: kindName, verbs }
}

const podSubresources = [
  stream('attach', 'PodAttachOptions'),
  { ...stream('binding', 'Binding', ['create']) },
  { ...stream('eviction', 'Eviction', ['create']), group: 'policy', version: 'v1' },
  stream('exec', 'PodExecOptions'),
  stream('log', 'Pod', ['get']),
  stream('portforward', 'PodPortForwardOptions'),
  stream('proxy', 'PodProxyOptions', ['create', 'delete', 'get', 'patch', 'update']),
]

const eventFields = [
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'involvedObject.apiVersion',
  'involvedObject.resourceVersion',
  'involvedObject.fieldPath',
  'reason',
  'reportingComponent',
  'source',
  'type',
]

const podFields = [
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'spec.hostNetwork',
  'status.phase',
  'status.podIP',
  'status.nominatedNodeName',
]

const coreKinds: KindDefinition[] = [
  kind(resources.namespaces, {
    shortNames: ['ns'],
    hasStatus: true,
    strategy: core.namespaceStrategy,
    columns: coreTables.namespaceColumns,
    selectableFields: ['status.phase'],
    otherSubresources: [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }],
  }),
  kind(resources.nodes, {
    shortNames: ['no'],
    hasStatus: true,
    columns: coreTables.nodeColumns,
    selectableFields: ['spec.unschedulable'],
  }),
  kind(resources.pods, {
    shortNames: ['po'],
    categories: ['all'],
    hasStatus: true,
    strategy: podStrategy,
    columns: podColumns,
    selectableFields: podFields,
    otherSubresources: podSubresources,
  }),
  kind(resources.services, {
    shortNames: ['svc'],
    categories: ['all'],
    hasStatus: true,
    strategy: serviceStrategy,
    columns: networkTables.serviceColumns,
    selectableFields: ['spec.clusterIP', 'spec.type'],
    otherSubresources: [
      stream('proxy', 'ServiceProxyOptions', ['create', 'delete', 'get', 'patch', 'update']),
    ],
  }),
  kind(resources.serviceAccounts, {
    shortNames: ['sa'],
    columns: coreTables.serviceAccountColumns,
    otherSubresources: [
      {
        name: 'token',
        kind: 'TokenRequest',
        verbs: ['create'],
        group: 'authentication.k8s.io',
        version: 'v1',
      },
    ],
  }),
  kind(resources.configMaps, {
    shortNames: ['cm'],
    strategy: core.configMapStrategy,
    columns: coreTables.configMapColumns,
  }),
  kind(resources.secrets, {
    strategy: core.secretStrategy,
    columns: coreTables.secretColumns,
    selectableFields: ['type'],
  }),
  kind(resources.events, {
    shortNames: ['ev'],
    columns: coreTables.eventColumns,
    selectableFields: eventFields,
  }),
  kind(namespaced('', 'v1', 'endpoints', 'Endpoints'), {
    shortNames: ['ep'],
    columns: networkTables.endpointsColumns,
  }),
]

const workloadKinds: KindDefinition[] = [
  kind(resources.deployments, {
    shortNames: ['deploy'],
    categories: ['all'],
    hasStatus: true,
    scale,
    tracksGeneration: true,
    strategy: workloads.deploymentStrategy,
    columns: workloadTables.deploymentColumns,
  }),
  kind(resources.replicaSets, {
    shortNames: ['rs'],
    categories: ['all'],
    hasStatus: true,
    scale,
    tracksGeneration: true,
    strategy: workloads.replicaSetStrategy,
    columns: workloadTables.replicaSetColumns,
    selectableFields: ['status.replicas'],
  }),
  kind(resources.daemonSets, {
    shortNames: ['ds'],
    categories: ['all'],
    hasStatus: true,
    tracksGeneration: true,
    strategy: workloads.daemonSetStrategy,
    columns: workloadTables.daemonSetColumns,
  }),
  kind(resources.statefulSets, {
    shortNames: ['sts'],
    categories: ['all'],
    hasStatus: true,
    scale,
    tracksGeneration: true,
    strategy: workloads.statefulSetStrategy,
    columns: workloadTables.statefulSetColumns,
  }),
  kind(namespaced('apps', 'v1', 'controllerrevisions', 'ControllerRevision')),
  kind(resources.jobs, {
    categories: ['all'],
    hasStatus: true,
    tracksGeneration: true,
    strategy: workloads.jobStrategy,
    columns: workloadTables.jobColumns,
    selectableFields: ['status.successful'],
  }),
  kind(resources.cronJobs, {
    shortNames: ['cj'],
    categories: ['all'],
    hasStatus: true,
    tracksGeneration: true,
    strategy: workloads.cronJobStrategy,
    columns: workloadTables.cronJobColumns,
  }),
]

const rbacGroup = 'rbac.authorization.k8s.io'

const rbacKinds: KindDefinition[] = [
  kind(namespaced(rbacGroup, 'v1', 'roles', 'Role'), {
    strategy: core.roleStrategy,
    columns: coreTables.roleColumns,
  }),
  kind(resources.clusterRoles, { strategy: core.roleStrategy, columns: coreTables.roleColumns }),
  kind(namespaced(rbacGroup, 'v1', 'rolebindings', 'RoleBinding'), {
    strategy: core.roleBindingStrategy,
    columns: coreTables.bindingColumns,
  }),
  kind(resources.clusterRoleBindings, {
    strategy: core.roleBindingStrategy,
    columns: coreTables.bindingColumns,
  }),
]

const otherKinds: KindDefinition[] = [
  kind(resources.endpointSlices, {
    tracksGeneration: true,
    strategy: endpointSliceStrategy,
    columns: networkTables.endpointSliceColumns,
  }),
  kind(resources.leases, { columns: coreTables.leaseColumns }),
  kind(resources.mutatingWebhookConfigurations, {
    categories: ['api-extensions'],
    tracksGeneration: true,
    strategy: core.webhookStrategy,
    columns: coreTables.webhookConfigurationColumns,
  }),
  kind(resources.validatingWebhookConfigurations, {
    categories: ['api-extensions'],
    tracksGeneration: true,
    strategy: core.webhookStrategy,
    columns: coreTables.webhookConfigurationColumns,
  }),
  kind(namespaced('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'), {
    shortNames: ['pdb'],
    hasStatus: true,
    tracksGeneration: true,
    columns: coreTables.disruptionBudgetColumns,
  }),
  kind(namespaced('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy'), {
    shortNames: ['netpol'],
    tracksGeneration: true,
    strategy: core.networkPolicyStrategy,
    columns: networkTables.networkPolicyColumns,
  }),
  kind(namespaced('networking.k8s.io', 'v1', 'ingresses', 'Ingress'), {
    shortNames: ['ing'],
    hasStatus: true,
    tracksGeneration: true,
    columns: networkTables.ingressColumns,
  }),
]

/** Asked by creating them, answered at once, never stored. */
const reviewKinds: KindDefinition[] = [
  resources.tokenReviews,
  clusterWide('authentication.k8s.io', 'v1', 'selfsubjectreviews', 'SelfSubjectReview'),
  resources.subjectAccessReviews,
  resources.selfSubjectAccessReviews,
  clusterWide('authorization.k8s.io', 'v1', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview'),
  namespaced('authorization.k8s.io', 'v1', 'localsubjectaccessreviews', 'LocalSubjectAccessReview'),
].map((resource) => kind(resource, { virtual: true }))

/** The kinds that every cluster has; CustomResourceDefinition itself is added by `crd/`. */
export const builtinKinds: readonly KindDefinition[] = [
  ...coreKinds,
  ...workloadKinds,
  ...rbacKinds,
  ...otherKinds,
  ...reviewKinds,
]
