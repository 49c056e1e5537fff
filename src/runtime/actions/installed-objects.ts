import { resources } from '../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from '../kube/types.ts'
import { labels } from '../shared/labels.ts'

const role: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'roles',
  kind: 'Role',
  namespaced: true,
}
const roleBinding: Resource = { ...role, plural: 'rolebindings', kind: 'RoleBinding' }
const disruptionBudget: Resource = {
  group: 'policy',
  version: 'v1',
  plural: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  namespaced: true,
}
const apiService: Resource = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  plural: 'apiservices',
  kind: 'APIService',
  namespaced: false,
}

/** Kinds that live outside the namespace of the control plane, or that hold it: what `uninstall` removes. */
export const uninstalledKinds: readonly Resource[] = [
  resources.mutatingWebhookConfigurations,
  resources.validatingWebhookConfigurations,
  apiService,
  resources.clusterRoleBindings,
  resources.clusterRoles,
  roleBinding,
  role,
  resources.customResourceDefinitions,
  resources.namespaces,
]

/** Every kind of an installation: what `prune` looks through. */
export const installedKinds: readonly Resource[] = [
  ...uninstalledKinds,
  resources.serviceAccounts,
  resources.configMaps,
  resources.services,
  resources.deployments,
  disruptionBudget,
]

/** Objects of the kinds that belong to a control plane; kinds that the cluster does not have are passed over. */
export async function objectsOfControlPlane(
  client: KubeClient,
  kinds: readonly Resource[],
  namespace?: string,
): Promise<KubeObject[]> {
  const selector =
    namespace === undefined ? labels.controlPlaneNamespace : `${labels.controlPlaneNamespace}=${namespace}`
  const found: KubeObject[] = []
  for (const resource of kinds) {
    try {
      const { items } = await client.list<KubeObject>(resource, { labelSelector: selector })
      found.push(...items.map(({ metadata }) => identityOf(resource, metadata.name, metadata.namespace)))
    } catch (thrown) {
      if (!(thrown instanceof KubeError && thrown.status === 404)) throw thrown
    }
  }
  return found
}

/** What `kubectl delete -f -` needs of an object, and no more. */
function identityOf(resource: Resource, name: string, namespace: string | undefined): KubeObject {
  return {
    apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
    kind: resource.kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  }
}
