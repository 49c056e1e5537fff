import { createdBy, renderControlPlane, renderCrds } from '../../templates/control-plane.ts'
import type { RenderedObject } from '../../templates/render.ts'
import type { Values } from '../../templates/values.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { MeshError } from '../shared/errors.ts'

/** What is to be rendered. */
export interface InstallOptions {
  values: Values
  /** The custom resources instead of the control plane. */
  crds: boolean
}

/** A CustomResourceDefinition, as far as an installation looks at it. */
interface Crd extends KubeObject {
  spec: { group: string }
}

const gatewayGroup = 'gateway.networking.k8s.io'
/** Without these the control plane cannot start watching. */
const requiredCrds = [
  'authorizationpolicies.policy.linkerd.io',
  'meshtlsauthentications.policy.linkerd.io',
  'networkauthentications.policy.linkerd.io',
  'servers.policy.linkerd.io',
  'serviceprofiles.linkerd.io',
]

/**
 * Renders an installation in apply order. With a client, the cluster is looked at first.
 * @param client absent for `--ignore-cluster`
 * @throws MeshError `MESH_INSTALL_NO_CRDS`, `MESH_INSTALL_EXISTS`, `MESH_INSTALL_FOREIGN_GATEWAY_API`
 */
export async function install(
  options: InstallOptions,
  client: KubeClient | undefined,
): Promise<RenderedObject[]> {
  if (client !== undefined) await checkCluster(options, client)
  return options.crds ? renderCrds(options.values) : renderControlPlane(options.values)
}

async function checkCluster({ values, crds }: InstallOptions, client: KubeClient): Promise<void> {
  const present = await client.list<Crd>(resources.customResourceDefinitions)
  if (crds) {
    refuseForeignGatewayApi(values, present.items)
    return
  }
  const names = new Set(present.items.map((crd) => crd.metadata.name))
  const missing = requiredCrds.filter((name) => !names.has(name))
  if (missing.length > 0) throw crdsMissing(missing)
  const config = await client.read(resources.configMaps, 'linkerd-config', values.namespace)
  if (config !== undefined) throw alreadyInstalled(values.namespace)
}

/** The Gateway API may belong to someone else; then it is theirs to change. */
function refuseForeignGatewayApi(values: Values, present: readonly Crd[]): void {
  if (!values.installGatewayAPI) return
  const foreign = present.filter(
    (crd) =>
      crd.spec.group === gatewayGroup &&
      !(crd.metadata.annotations?.['linkerd.io/created-by'] ?? '').startsWith(createdBy.split(' ')[0] ?? ''),
  )
  if (foreign.length === 0) return
  throw new MeshError({
    code: 'MESH_INSTALL_FOREIGN_GATEWAY_API',
    kind: 'environment',
    message: 'the cluster has Gateway API resources that mesh did not install',
    reason: foreign.map((crd) => crd.metadata.name).join(', '),
    next: ['Leave installGatewayAPI at false: mesh uses the resources that are there.'],
  })
}

function crdsMissing(missing: readonly string[]): MeshError {
  return new MeshError({
    code: 'MESH_INSTALL_NO_CRDS',
    kind: 'environment',
    message: 'the custom resources of mesh are not installed',
    reason: `missing: ${missing.join(', ')}`,
    next: ['mesh install --crds | kubectl apply -f -'],
  })
}

function alreadyInstalled(namespace: string): MeshError {
  return new MeshError({
    code: 'MESH_INSTALL_EXISTS',
    kind: 'environment',
    message: `there is a control plane in the namespace ${namespace} already`,
    reason: 'its ConfigMap linkerd-config exists',
    next: ['mesh upgrade | kubectl apply -f -', 'Or render without looking: mesh install --ignore-cluster'],
  })
}
