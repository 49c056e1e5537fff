/** Names another object, as Gateway API references do. */
export interface Reference {
  /** Empty or `core` for the core group. */
  group?: string
  kind?: string
  name?: string
  /** That of the referring object when absent. */
  namespace?: string
}

/** Whether the reference is to this kind. Case does not matter in kinds and groups. */
export function refersTo(reference: Reference, group: string, kind: string): boolean {
  return (
    canonicalGroup(reference.group) === group.toLowerCase() &&
    reference.kind?.toLowerCase() === kind.toLowerCase()
  )
}

function canonicalGroup(group: string | undefined): string {
  const lower = (group ?? '').toLowerCase()
  return lower === 'core' ? '' : lower
}

export const policyGroup = 'policy.linkerd.io'
