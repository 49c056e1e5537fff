/** The ConfigMap in which the certificate authority says how it is. */
export const identityStatusName = 'linkerd-identity-status'
/** Its key: JSON, {@link IdentityStatus}. */
export const identityStatusKey = 'status.json'
/**
 * Annotation of that ConfigMap by which a rotation of the trust anchor is asked for. Any new value asks once; it comes
 * back as {@link IdentityStatus.answered} when the rotation is over or was refused.
 */
export const rotateAnnotation = 'linkerd.io/rotate-trust-anchor'

/**
 * What a rotation of the trust anchor is at.
 * - `idle`: there is none.
 * - `distribute`: proxies get the old and the new anchor.
 * - `issue`: every certificate comes from the new anchor from now on.
 * - `retire`: certificates under the old anchor come to their end; then it leaves the bundle.
 */
export type RotationStage = 'idle' | 'distribute' | 'issue' | 'retire'

/** What identity remembers and shows. Times are RFC 3339, anchors the SHA-256 of their DER in hexadecimal. */
export interface IdentityStatus {
  stage: RotationStage
  /** When the stage began. */
  since: string
  /** After this time no certificate that was issued until now is valid. */
  leavesUntil: string
  reason?: 'requested' | 'anchor-ends'
  oldAnchor?: string
  newAnchor?: string
  /** Since when the bundle with both anchors can be had. */
  bundleSince?: string
  /** When the old anchor goes. */
  retireAt?: string
  /** Pods with a proxy, how many of them use the bundle, and names of some that do not. */
  proxies?: { live: number; acknowledged: number; waitingFor: string[] }
  /** The last request that is done with. */
  answered?: string
  /** Why that one was refused; absent when it was done. */
  refusal?: string
  /** When the last rotation ended. */
  rotatedAt?: string
}

/** Reads what stands in the ConfigMap; `undefined` when that is no status. */
export function parseIdentityStatus(text: string | undefined): IdentityStatus | undefined {
  if (text === undefined) return undefined
  try {
    const value = JSON.parse(text) as Partial<IdentityStatus> | null
    const isStatus = typeof value?.stage === 'string' && typeof value.since === 'string'
    return isStatus && typeof value.leavesUntil === 'string' ? (value as IdentityStatus) : undefined
  } catch {
    return undefined
  }
}
