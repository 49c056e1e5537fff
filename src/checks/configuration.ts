import { resources } from '../runtime/kube/resources.ts'
import type { Resource } from '../runtime/kube/types.ts'
import { crds } from './control-plane.ts'
import { type Category, type Check, type CheckContext, CheckFailure } from './types.ts'

const installFix = 'mesh upgrade | kubectl apply -f -'

/** All of the named objects are there. */
function exist(
  code: Check['code'],
  kinds: string,
  anchor: string,
  resource: Resource,
  namesOf: (context: CheckContext) => readonly string[],
): Check {
  return {
    code,
    description: `control plane ${kinds} exist`,
    anchor,
    isFatal: true,
    fix: installFix,
    run: async (context) => {
      const namespace = resource.namespaced ? context.controlPlaneNamespace : undefined
      for (const name of namesOf(context)) {
        if ((await context.cluster.read(resource, name, namespace)) === undefined) {
          throw new CheckFailure(`missing ${resource.kind} ${name}`)
        }
      }
    },
  }
}

const clusterRoleNames = ({ controlPlaneNamespace }: CheckContext) =>
  ['identity', 'destination', 'proxy-injector'].map((name) => `linkerd-${controlPlaneNamespace}-${name}`)

/** Whether every object of the installation is there. */
export const configuration: Category = {
  id: 'linkerd-config',
  checks: [
    {
      ...exist('MESH_CHECK_NAMESPACE', 'Namespace', 'l5d-existence-ns', resources.namespaces, (context) => [
        context.controlPlaneNamespace,
      ]),
      description: 'control plane Namespace exists',
    },
    exist(
      'MESH_CHECK_CLUSTER_ROLES',
      'ClusterRoles',
      'l5d-existence-cr',
      resources.clusterRoles,
      clusterRoleNames,
    ),
    exist(
      'MESH_CHECK_CLUSTER_ROLE_BINDINGS',
      'ClusterRoleBindings',
      'l5d-existence-crb',
      resources.clusterRoleBindings,
      clusterRoleNames,
    ),
    exist(
      'MESH_CHECK_SERVICE_ACCOUNTS',
      'ServiceAccounts',
      'l5d-existence-sa',
      resources.serviceAccounts,
      () => ['linkerd-destination', 'linkerd-identity', 'linkerd-proxy-injector'],
    ),
    ...crds.checks,
    exist(
      'MESH_CHECK_WEBHOOK_CONFIGURATIONS',
      'MutatingWebhookConfigurations',
      'l5d-existence-mwc',
      resources.mutatingWebhookConfigurations,
      () => ['linkerd-proxy-injector-webhook-config'],
    ),
  ],
}
