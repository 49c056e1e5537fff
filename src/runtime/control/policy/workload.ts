/** The workload that asks for policy. */
export interface Workload {
  namespace: string
  /** Absent for a workload outside the cluster. */
  pod?: string
}

/** Reads JSON `{"ns", "pod"}`, or `NAMESPACE:POD`. Undefined when it is neither. */
export function parseWorkload(text: string): Workload | undefined {
  if (!text.startsWith('{')) {
    const [namespace = '', pod = '', ...rest] = text.split(':')
    return namespace === '' || pod === '' || rest.length > 0 ? undefined : { namespace, pod }
  }
  try {
    const { ns, pod } = JSON.parse(text) as Record<string, unknown>
    if (typeof ns !== 'string' || ns === '') return undefined
    return typeof pod === 'string' && pod !== '' ? { namespace: ns, pod } : { namespace: ns }
  } catch {
    return undefined
  }
}
