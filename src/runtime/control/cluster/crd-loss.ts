import type { ListWatch } from '../../kube/informer.ts'
import { resources } from '../../kube/resources.ts'
import {
  type CollectOptions,
  type KubeClient,
  KubeError,
  type KubeObject,
  type Resource,
} from '../../kube/types.ts'

/**
 * A client that believes "no such kind" only when its CRD is really gone.
 *
 * While an API server starts, or its discovery is behind, it may answer 404 for a kind that it has. Taken at its word
 * that would erase every Server, and with them every rule that denies.
 */
export function keepKnownKinds(kube: KubeClient): ListWatch {
  const known = new Set<string>()
  const list = async <T extends KubeObject>(resource: Resource, options?: CollectOptions<T>) => {
    try {
      const listed = await kube.list<T>(resource, options)
      known.add(resource.plural)
      return listed
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 404) throw error
      if (!(await isGone(kube, resource, known))) throw doubtful(resource)
      known.delete(resource.plural)
      throw error
    }
  }
  return { list, watch: (resource, options) => kube.watch(resource, options) }
}

async function isGone(kube: KubeClient, resource: Resource, known: ReadonlySet<string>): Promise<boolean> {
  try {
    const name = `${resource.plural}.${resource.group}`
    return (await kube.read(resources.customResourceDefinitions, name)) === undefined
  } catch {
    // It cannot be asked. What was never seen may be missing; what was seen is kept.
    return !known.has(resource.plural)
  }
}

function doubtful(resource: Resource): KubeError {
  return new KubeError(
    503,
    'ServiceUnavailable',
    `the API server does not serve ${resource.plural}.${resource.group} at the moment`,
  )
}
