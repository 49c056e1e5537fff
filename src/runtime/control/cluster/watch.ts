import { type ListWatch, startInformer } from '../../kube/informer.ts'
import { resources } from '../../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import { keepKnownKinds } from './crd-loss.ts'
import { readEndpointSlice } from './endpoint-slice.ts'
import { readIntermediate, readNode } from './owner.ts'
import { readPod } from './pod.ts'
import { readServer } from './server.ts'
import { readService } from './service.ts'
import type { ClusterState } from './state.ts'
import { idOf, type Table } from './table.ts'

export interface WatchDeps {
  kube: KubeClient
  clock: Clock
  logger: Logger
  /** Ends all watches. */
  signal: AbortSignal
}

/** What an informer keeps of an object: enough to know its version, and what was read from it. */
interface Held<T> extends KubeObject {
  /** Undefined when it could not be read. */
  row: T | undefined
}

/**
 * Watches everything that the state holds.
 * @returns settles when each kind was listed once; kinds that the cluster does not have count as empty
 */
export function watchCluster(state: ClusterState, deps: WatchDeps): Promise<void> {
  const custom = { ...deps, kube: keepKnownKinds(deps.kube) }
  const watches = [
    watchKind(resources.pods, readPod, state.pods, deps),
    watchKind(resources.services, readService, state.services, deps),
    watchKind(resources.endpointSlices, readEndpointSlice, state.slices, deps),
    watchKind(resources.nodes, readNode, state.nodes, deps),
    watchKind(resources.replicaSets, readIntermediate, state.replicaSets, deps),
    watchKind(resources.jobs, readIntermediate, state.jobs, deps),
    watchKind(resources.servers, readServer, state.servers, custom),
  ]
  return Promise.all(watches).then(() => {})
}

/** Keeps a table in step with one kind of object. Settles when it was listed once. */
export function watchKind<O extends KubeObject, T>(
  resource: Resource,
  read: (object: O) => T,
  table: Pick<Table<T>, 'set'>,
  { kube, clock, logger, signal }: Omit<WatchDeps, 'kube'> & { kube: ListWatch },
): Promise<void> {
  // What one object has wrong must neither stop the watch of the others nor erase what was known of it.
  const readGuarded = (object: KubeObject) => {
    try {
      return read(object as O)
    } catch (error) {
      const { namespace, name } = object.metadata
      logger.error({ resource: resource.plural, namespace, name, err: error }, 'an object cannot be read')
      return undefined
    }
  }
  const informer = startInformer<Held<T>>(kube, resource, {
    clock,
    signal,
    transform: (object) => hold(object, readGuarded),
    onError: (error) => {
      const about = { resource: resource.plural, group: resource.group, reason: messageOf(error) }
      // Kinds of others, such as the Gateway API's, need not be there.
      const isMissingKind = error instanceof KubeError && error.status === 404
      if (isMissingKind) logger.debug(about, 'the cluster does not have this kind; it is asked for again')
      else logger.warn(about, 'a watch failed; it goes on')
    },
  })
  informer.onChange((change) => {
    const { namespace, name } = change.object.metadata
    const id = namespace === undefined ? name : idOf(namespace, name)
    if (change.kind === 'deleted') table.set(id, undefined)
    else if (change.object.row !== undefined) table.set(id, change.object.row)
  })
  return informer.synced
}

function hold<T>(object: KubeObject, read: (object: KubeObject) => T | undefined): Held<T> {
  const { name, namespace, uid, resourceVersion } = object.metadata
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    row: read(object),
  }
}
