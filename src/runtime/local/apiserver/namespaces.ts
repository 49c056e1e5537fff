import { resources } from '../../kube/resources.ts'
import type { KubeClient, KubeObject, Resource } from '../../kube/types.ts'
import { KubeError } from '../../kube/types.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import type { Store } from './store.ts'

/** What every namespace holds from its start. */
const rootCaName = 'kube-root-ca.crt'
const defaultAccountName = 'default'

async function createIfAbsent(
  client: KubeClient,
  store: Store,
  resource: Resource,
  object: KubeObject,
): Promise<void> {
  const { name, namespace } = object.metadata
  if (store.get(resource, name, namespace)) return
  await client.create(resource, object).catch((error: unknown) => {
    // Somebody was quicker, or the namespace is on its way out.
    if (error instanceof KubeError && [403, 404, 409].includes(error.status)) return
    throw error
  })
}

/**
 * Puts the `default` ServiceAccount and the ConfigMap with the cluster's CA into each namespace, again when they are
 * deleted.
 * @param clusterCa PEM
 * @returns a function that stops it
 */
export function furnishNamespaces(
  store: Store,
  client: KubeClient,
  clusterCa: string,
  logger: Logger,
): () => void {
  const furnish = async (namespace: string) => {
    const account = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: defaultAccountName, namespace },
    }
    await createIfAbsent(client, store, resources.serviceAccounts, account)
    const data = { 'ca.crt': clusterCa }
    const rootCa = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: rootCaName, namespace }, data }
    await createIfAbsent(client, store, resources.configMaps, rootCa)
  }
  return store.subscribe((resource, change) => {
    const { name, namespace } = change.object.metadata
    const isNew = resource.plural === 'namespaces' && change.type === 'ADDED'
    const isOurs = name === rootCaName || name === defaultAccountName
    const isLost = change.type === 'DELETED' && namespace !== undefined && isOurs
    const target = isNew ? name : isLost ? namespace : undefined
    if (target === undefined || !store.get(resources.namespaces, target)) return
    furnish(target).catch((error: unknown) => {
      logger.error({ namespace: target, error: messageOf(error) }, 'cannot furnish namespace')
    })
  })
}
