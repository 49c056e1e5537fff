import type { KubeObject } from '../../kube/types.ts'

export interface TrafficSplitObject extends KubeObject {
  spec?: {
    service?: string
    backends?: { service?: string; weight?: number | string }[]
    matches?: unknown[]
  }
}

/** A TrafficSplit (SMI): where the traffic to a Service really goes. */
export interface TrafficSplit {
  namespace: string
  name: string
  /** The Service that clients ask for. */
  service: string
  backends: readonly { service: string; weight: number }[]
  createdMs: number
  /** Why it is not used. */
  problem?: string
}

/** Reads a TrafficSplit of v1alpha1 (weights are quantities) or of v1alpha2 to v1alpha4 (whole numbers). */
export function readTrafficSplit(object: TrafficSplitObject): TrafficSplit {
  const { metadata, spec = {} } = object
  const backends = (spec.backends ?? []).map(({ service = '', weight = 0 }) => ({
    service: service.split('.')[0] ?? '',
    weight: readWeight(weight),
  }))
  const problem = problemOf(spec, backends)
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    // A full name is allowed as well.
    service: (spec.service ?? '').split('.')[0] ?? '',
    backends,
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    ...(problem === undefined ? {} : { problem }),
  }
}

function problemOf(
  spec: NonNullable<TrafficSplitObject['spec']>,
  backends: readonly { service: string; weight: number }[],
): string | undefined {
  if ((spec.matches ?? []).length > 0) {
    return 'matches are not supported: requests are told apart by an HTTPRoute'
  }
  if (backends.some(({ service, weight }) => service === '' || Number.isNaN(weight))) {
    return 'a backend has no service, or a weight that is not a number'
  }
  return undefined
}

/** In thousandths, so that `900m` and `1` compare. */
function readWeight(weight: number | string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)(m?)$/.exec(String(weight)) ?? []
  return digits === '' ? Number.NaN : Math.round(Number(digits) * (unit === 'm' ? 1 : 1000))
}
