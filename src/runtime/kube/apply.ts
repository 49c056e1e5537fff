import type { Clock } from '../shared/clock.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { Discovery } from './discovery.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from './types.ts'

/** What came of one object. */
export interface Applied {
  apiVersion: string
  kind: string
  name: string
  namespace?: string
  outcome: 'created' | 'configured' | 'unchanged'
}

export interface ApplyOptions {
  clock: Clock
  /** Owner of the fields, KEP-555. */
  fieldManager?: string
  /** Takes fields from other owners. kubectl and older versions of mesh own what they once wrote. */
  force?: boolean
  /** How long a kind is waited for whose CRD was applied just before. */
  kindTimeoutMs?: number
  /** Told of each object as soon as it is done. */
  onApplied?: (applied: Applied) => void
  signal?: AbortSignal
}

const kindRetryMs = 250

/**
 * Applies objects in their order by server-side apply. The order is the caller's: namespaces and custom resources
 * before what needs them.
 * @throws MeshError `MESH_APPLY_KIND` for a kind that the server does not know, `MESH_APPLY_REFUSED` for an object that
 * it refuses; what was applied before stays
 */
export async function applyObjects(
  client: KubeClient,
  objects: readonly KubeObject[],
  options: ApplyOptions,
): Promise<Applied[]> {
  const discovery = new Discovery(client)
  const done: Applied[] = []
  for (const object of objects) {
    options.signal?.throwIfAborted()
    const applied = await applyOne(client, discovery, object, options)
    options.onApplied?.(applied)
    done.push(applied)
  }
  return done
}

async function applyOne(
  client: KubeClient,
  discovery: Discovery,
  object: KubeObject,
  options: ApplyOptions,
): Promise<Applied> {
  const { apiVersion = '', kind = '' } = object
  const { name } = object.metadata
  const resource = await resourceOf(discovery, apiVersion, kind, options)
  const namespace = resource.namespaced ? (object.metadata.namespace ?? client.defaultNamespace) : undefined
  try {
    const before = await client.read(resource, name, namespace)
    const after = await client.apply(resource, object, {
      fieldManager: options.fieldManager ?? 'mesh',
      force: options.force ?? true,
    })
    const isSame = before?.metadata.resourceVersion === after.metadata.resourceVersion
    const outcome = before === undefined ? 'created' : isSame ? 'unchanged' : 'configured'
    return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }), outcome }
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    throw new MeshError({
      code: 'MESH_APPLY_REFUSED',
      kind: 'environment',
      message: `The cluster refused ${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`,
      reason: messageOf(error),
      next: [
        error.status === 403
          ? 'You lack the rights: ask for cluster-admin, or apply as someone who has it (--as).'
          : 'Mend what the reason says, then run the command again: what was applied stays.',
      ],
      cause: error,
    })
  }
}

/** Waits a while for the kind: the server learns a CRD a moment after it was applied. */
async function resourceOf(
  discovery: Discovery,
  apiVersion: string,
  kind: string,
  { clock, kindTimeoutMs = 5_000, signal }: ApplyOptions,
): Promise<Resource> {
  const endMs = clock.nowMs() + kindTimeoutMs
  for (;;) {
    const resource = await discovery.find(apiVersion, kind)
    if (resource !== undefined) return resource
    if (clock.nowMs() >= endMs) break
    await clock.sleep(kindRetryMs, signal)
  }
  throw new MeshError({
    code: 'MESH_APPLY_KIND',
    kind: 'environment',
    message: `The cluster does not know ${kind} of ${apiVersion}`,
    next: ['mesh install --crds | kubectl apply -f -   # first', 'kubectl api-resources'],
  })
}
