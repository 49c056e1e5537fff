import { renderControlPlane, renderCrds } from '../../templates/control-plane.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { installedKinds, objectsOfControlPlane } from './installed-objects.ts'
import { type ReadText, resolveValues } from './resolve-values.ts'
import { storedOverrides } from './upgrade.ts'

/** What controllers make themselves; no manifest has it. */
const madeByControllers = new Set([
  'ConfigMap linkerd-identity-trust-roots',
  'ConfigMap linkerd-identity-status',
  'ConfigMap linkerd-identity-acknowledgements',
])

/**
 * Objects of an installation that its manifests do not have any more, such as what an older version installed.
 * @throws MeshError `MESH_UPGRADE_NOT_INSTALLED`, `MESH_UPGRADE_CONFIG`
 */
export async function prune(
  client: KubeClient,
  namespace: string,
  readText: ReadText,
): Promise<KubeObject[]> {
  const config = await client.read(resources.configMaps, 'linkerd-config', namespace)
  const values = await resolveValues({ stored: storedOverrides(config, namespace) }, readText)
  const rendered = [...renderCrds({ ...values, installGatewayAPI: true }), ...renderControlPlane(values)]
  const wanted = new Set(rendered.map(keyOf))
  const present = await objectsOfControlPlane(client, installedKinds, namespace)
  return present.filter(
    (object) =>
      !wanted.has(keyOf(object)) &&
      !madeByControllers.has(`${object.kind} ${object.metadata.name}`) &&
      isOfControlPlane(object, namespace),
  )
}

/** Extensions label their objects with the control plane too; what lives in their namespaces is theirs. */
function isOfControlPlane(object: KubeObject, namespace: string): boolean {
  return object.metadata.namespace === undefined
    ? !object.metadata.name.startsWith('linkerd-viz')
    : object.metadata.namespace === namespace
}

/** Group, kind, namespace and name: versions of one kind are the same object. */
function keyOf(object: {
  apiVersion?: string
  kind?: string
  metadata: { name: string; namespace?: string }
}): string {
  const group = object.apiVersion?.includes('/') === true ? object.apiVersion.split('/')[0] : ''
  return [group, object.kind, object.metadata.namespace ?? '', object.metadata.name].join(' ')
}
