import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { MeshError } from '../shared/errors.ts'
import { labels } from '../shared/labels.ts'
import { objectsOfControlPlane, uninstalledKinds } from './installed-objects.ts'

/**
 * What has to be deleted so that nothing of mesh is left.
 * @param options.force although extensions or meshed pods are there
 * @throws MeshError `MESH_UNINSTALL_IN_USE`
 */
export async function uninstall(client: KubeClient, options: { force: boolean }): Promise<KubeObject[]> {
  if (!options.force) await refuseWhileInUse(client)
  return await objectsOfControlPlane(client, uninstalledKinds)
}

async function refuseWhileInUse(client: KubeClient): Promise<void> {
  const namespaces = await client.list(resources.namespaces, { labelSelector: labels.extension })
  const pods = await client.list(resources.pods, { labelSelector: labels.controlPlaneNamespace })
  const extensions = new Set(namespaces.items.map(({ metadata }) => metadata.name))
  const meshed = pods.items.filter(
    ({ metadata }) =>
      metadata.labels?.[labels.controlPlaneComponent] === undefined &&
      !extensions.has(metadata.namespace ?? ''),
  )
  const reasons = [
    ...(extensions.size === 0 ? [] : [`extensions in ${[...extensions].join(', ')}`]),
    ...(meshed.length === 0 ? [] : [meshedWords(meshed)]),
  ]
  if (reasons.length === 0) return
  throw new MeshError({
    code: 'MESH_UNINSTALL_IN_USE',
    kind: 'environment',
    message: 'mesh is in use',
    reason: reasons.join('; '),
    next: [
      ...(extensions.has('linkerd-viz') ? ['mesh viz install | kubectl delete -f -'] : []),
      'Take the proxies out: kubectl get -A deploy -o yaml | mesh uninject - | kubectl apply -f -',
      'Or remove mesh all the same: mesh uninstall --force',
    ],
  })
}

function meshedWords(pods: readonly KubeObject[]): string {
  const namespaces = [...new Set(pods.map(({ metadata }) => metadata.namespace ?? ''))].sort()
  return `${pods.length} meshed pod${pods.length === 1 ? '' : 's'} in ${namespaces.join(', ')}`
}
