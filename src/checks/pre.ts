import { resources } from '../runtime/kube/resources.ts'
import type { KubeObject, Resource } from '../runtime/kube/types.ts'
import { type Category, type Check, type CheckContext, CheckFailure } from './types.ts'

interface AccessReview extends KubeObject {
  status?: { allowed?: boolean; reason?: string }
}

/** Asks the API server whether the current user may do something; fails when not. */
async function requireAccess(
  { cluster }: CheckContext,
  verb: string,
  resource: Resource,
  namespace?: string,
): Promise<void> {
  const attributes = { verb, group: resource.group, version: resource.version, resource: resource.plural }
  const review = await cluster.client.create<AccessReview>(resources.selfSubjectAccessReviews, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: { name: '' },
    spec: { resourceAttributes: { ...attributes, ...(namespace === undefined ? {} : { namespace }) } },
  } as AccessReview)
  if (review.status?.allowed === true) return
  const why = review.status?.reason ? `: ${review.status.reason}` : ''
  throw new CheckFailure(`not authorized to ${verb} ${resource.plural}${why}`)
}

/** The kinds of an installation that belong to no namespace. */
const clusterWide = [
  resources.namespaces,
  resources.clusterRoles,
  resources.clusterRoleBindings,
  resources.customResourceDefinitions,
  resources.mutatingWebhookConfigurations,
]

const accessFix = 'Install as a user who may administer the cluster: mesh check --pre --as NAME'

function canCreate(code: Check['code'], resource: Resource): Check {
  return {
    code,
    description: `can create ${resource.kind}s`,
    anchor: 'pre-k8s',
    fix: accessFix,
    run: (context) => requireAccess(context, 'create', resource, context.controlPlaneNamespace),
  }
}

const maxClockSkewMs = 60_000

/** Whether mesh can be installed. */
export const preInstall: Category = {
  id: 'pre-kubernetes-setup',
  checks: [
    {
      code: 'MESH_CHECK_PRE_NAMESPACE',
      description: 'control plane namespace does not already exist',
      anchor: 'pre-ns',
      fix: 'mesh check   # when mesh is installed already',
      run: async ({ cluster, controlPlaneNamespace }) => {
        const namespace = await cluster.read(resources.namespaces, controlPlaneNamespace)
        if (namespace !== undefined) {
          throw new CheckFailure(`the namespace ${controlPlaneNamespace} exists`)
        }
      },
    },
    {
      code: 'MESH_CHECK_CREATE_CLUSTER_WIDE',
      description: 'can create non-namespaced resources',
      anchor: 'pre-k8s-cluster-k8s',
      fix: accessFix,
      run: async (context) => {
        for (const resource of clusterWide) await requireAccess(context, 'create', resource)
      },
    },
    canCreate('MESH_CHECK_CREATE_SERVICE_ACCOUNTS', resources.serviceAccounts),
    canCreate('MESH_CHECK_CREATE_SERVICES', resources.services),
    canCreate('MESH_CHECK_CREATE_DEPLOYMENTS', resources.deployments),
    canCreate('MESH_CHECK_CREATE_CONFIG_MAPS', resources.configMaps),
    canCreate('MESH_CHECK_CREATE_SECRETS', resources.secrets),
    {
      code: 'MESH_CHECK_READ_SECRETS',
      description: 'can read Secrets',
      anchor: 'pre-k8s',
      fix: accessFix,
      run: (context) => requireAccess(context, 'get', resources.secrets, context.controlPlaneNamespace),
    },
    {
      code: 'MESH_CHECK_CLOCK_SKEW',
      description: 'no clock skew detected',
      anchor: 'pre-k8s-clock-skew',
      isWarning: true,
      fix: 'Set the clocks of this machine and of the cluster by NTP.',
      run: async ({ cluster, clock }) => {
        const before = clock.nowMs()
        const serverMs = Date.parse((await cluster.get('/version')).headers.date ?? '')
        if (Number.isNaN(serverMs)) return
        const skewMs = Math.abs(serverMs - before)
        if (skewMs > maxClockSkewMs) {
          throw new CheckFailure(
            `the clock of the API server is ${Math.round(skewMs / 1000)} s away from this machine's`,
          )
        }
      },
    },
  ],
}
