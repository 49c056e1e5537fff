import { startInformer as startKubeInformer } from '../kube/informer.ts'
import type { KubeClient, KubeObject, Resource } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import { messageOf } from '../shared/errors.ts'
import type { Logger } from '../shared/logger.ts'

/** What happened to one object. */
export interface Change<T> {
  /** Absent when the object is new. */
  before?: T
  /** Absent when the object is gone. */
  after?: T
}

/** A copy of all objects of one kind that follows the API server. */
export interface Informer<T extends KubeObject> {
  /** Resolves once the first list has arrived. */
  readonly synced: Promise<void>
  get(name: string, namespace?: string): T | undefined
  /** All objects, or those of one namespace. */
  list(namespace?: string): T[]
  /** Calls back for each object that is there already, and for each change from now on. */
  onChange(listener: (change: Change<T>) => void): void
}

/** What an informer needs beside the resource. */
export interface InformerOptions {
  signal: AbortSignal
  logger: Logger
  clock: Clock
}

/** Lists and watches a resource until the signal aborts. */
export function startInformer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  { signal, logger, clock }: InformerOptions,
): Informer<T> {
  const onError = (error: unknown) => {
    if (!signal.aborted) logger.warn({ resource: resource.plural, reason: messageOf(error) }, 'watch lost')
  }
  const informer = startKubeInformer<T>(client, resource, { signal, clock, onError })
  return {
    synced: informer.synced,
    get: (name, namespace) => informer.get(namespace, name),
    list: (namespace) => (namespace === undefined ? informer.list() : informer.byNamespace(namespace)),
    onChange(listener) {
      for (const after of informer.list()) listener({ after })
      informer.onChange((change) => {
        if (change.kind === 'added') listener({ after: change.object })
        else if (change.kind === 'deleted') listener({ before: change.object })
        else listener({ before: change.previous, after: change.object })
      })
    },
  }
}
