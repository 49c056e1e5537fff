import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { labels, proxyContainerName } from '../shared/labels.ts'

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

interface Pod extends KubeObject {
  spec?: { containers?: Container[]; initContainers?: Container[] }
}

interface Container {
  name: string
  image?: string
}

/** How many pods run a version of the proxy. */
export interface ProxyVersion {
  version: string
  pods: number
}

/**
 * The version that the cluster says it was installed by.
 * @returns `undefined` when there is no control plane, or one that does not say
 */
export async function serverVersion(client: KubeClient, namespace: string): Promise<string | undefined> {
  const config = await client.read<ConfigMap>(resources.configMaps, 'linkerd-config', namespace)
  return config?.data?.version
}

/** The versions of the proxies of a control plane, most frequent first. */
export async function proxyVersions(
  client: KubeClient,
  controlPlaneNamespace: string,
  namespace?: string,
): Promise<ProxyVersion[]> {
  const { items } = await client.list<Pod>(resources.pods, {
    labelSelector: `${labels.controlPlaneNamespace}=${controlPlaneNamespace}`,
    ...(namespace === undefined ? {} : { namespace }),
  })
  const counts = new Map<string, number>()
  for (const { spec } of items) {
    const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
    const image = containers.find(({ name }) => name === proxyContainerName)?.image
    if (image === undefined) continue
    const version = /:([^:/@]+)(?:@.*)?$/.exec(image)?.[1] ?? 'untagged'
    counts.set(version, (counts.get(version) ?? 0) + 1)
  }
  return [...counts]
    .map(([version, pods]) => ({ version, pods }))
    .sort((a, b) => b.pods - a.pods || (a.version < b.version ? -1 : 1))
}
