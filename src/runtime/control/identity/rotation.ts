import { createHash } from 'node:crypto'
import type { Certificate } from '../../pki/certificate.ts'
import type { IdentityStatus, RotationStage } from '../../shared/identity-status.ts'

/** A trust anchor, as far as its rotation goes. */
export interface AnchorFact {
  /** SHA-256 of its DER, hexadecimal. */
  hash: string
  notBeforeMs: number
  notAfterMs: number
}

/** A pod with a proxy. */
export interface ProxyFact {
  /** `NAMESPACE/NAME`. */
  name: string
  createdMs: number
  /** Whether it verifies peers with the bundle as it is now. */
  hasBundle: boolean
}

/** What the cluster holds at one moment. */
export interface RotationFacts {
  nowMs: number
  /** The bundle that proxies are given. */
  bundle: readonly AnchorFact[]
  /** Of the issuer that stands in the cluster. */
  issuerAnchor: string | undefined
  /** The anchor whose key the cluster keeps; undefined when someone else keeps it. */
  ownAnchor: AnchorFact | undefined
  /** The anchor that was made to follow it. */
  nextAnchor: AnchorFact | undefined
  /** Asked for by a person; each value counts once. */
  request: string | undefined
  proxies: readonly ProxyFact[]
  /** Anchors of the issuers that the replicas of identity sign with. */
  replicaAnchors: readonly string[]
}

export interface RotationSettings {
  /** For how long a proxy that does not acknowledge holds up a rotation. */
  graceMs: number
  /** How long a new bundle is out at least, for pods that were admitted while it was written. */
  settleMs: number
  /** The longest life of a leaf, with the allowance for clocks. */
  leafMs: number
}

/** What has to be made so in the cluster before the stage can go on. */
export type RotationAct =
  | 'make-next-anchor'
  | 'extend-bundle'
  | 'issue-from-next'
  | 'keep-next-as-own'
  | 'remove-old-anchor'
  | 'remove-next-anchor'

/** Either something to do, or what is to be remembered (the same as before when there is only to wait). */
export type RotationPlan = { act: RotationAct } | { status: IdentityStatus }

export function hashOf(certificate: Pick<Certificate, 'der'>): string {
  return createHash('sha256').update(certificate.der).digest('hex')
}

/** Names the content of a bundle, whatever the order of its anchors. */
export function revisionOf(hashes: Iterable<string>): string {
  const sorted = [...new Set(hashes)].sort()
  return createHash('sha256').update(sorted.join()).digest('hex').slice(0, 16)
}

export function firstStatus(nowMs: number): IdentityStatus {
  return { stage: 'idle', since: timeText(nowMs), leavesUntil: timeText(nowMs) }
}

/**
 * The next step of a rotation. Everything is judged by what is there, so that whoever comes after a stop at any point
 * goes on from it. Two promises: no certificate is issued that a live proxy does not trust, but for proxies that have
 * not acknowledged within their grace; no anchor goes while a certificate under it may be valid.
 */
export function planRotation(
  status: IdentityStatus,
  facts: RotationFacts,
  settings: RotationSettings,
): RotationPlan {
  switch (status.stage) {
    case 'idle':
      return planStart(withLeafBound(status, facts, settings), facts)
    case 'distribute':
      return planDistribution(withLeafBound(status, facts, settings), facts, settings)
    case 'issue':
      return planIssue(withLeafBound(status, facts, settings), facts, settings)
    case 'retire':
      return planRetirement(status, facts)
  }
}

function planStart(status: IdentityStatus, facts: RotationFacts): RotationPlan {
  const { request, ownAnchor, issuerAnchor, nowMs } = facts
  const isRequested = request !== undefined && request !== status.answered
  const isOwn = ownAnchor !== undefined && ownAnchor.hash === issuerAnchor
  if (isRequested && !isOwn) {
    const refusal = 'the key of the trust anchor is not in the cluster: whoever keeps it has to rotate it'
    return { status: { ...status, answered: request, refusal } }
  }
  const isDue = ownAnchor !== undefined && isOwn && isInLastThird(ownAnchor, nowMs)
  if (!isRequested && !isDue) return { status }
  const started = {
    ...enter(status, 'distribute', nowMs),
    reason: isRequested ? ('requested' as const) : ('anchor-ends' as const),
    ...(issuerAnchor === undefined ? {} : { oldAnchor: issuerAnchor }),
  }
  return { status: started }
}

function planDistribution(
  status: IdentityStatus,
  facts: RotationFacts,
  settings: RotationSettings,
): RotationPlan {
  const { nextAnchor: next, nowMs } = facts
  // Made by someone who was stopped long ago, it may have ended since.
  if (next === undefined || next.notAfterMs <= nowMs || next.hash === status.oldAnchor)
    return { act: 'make-next-anchor' }
  if (!isInBundle(next.hash, facts)) return { act: 'extend-bundle' }
  if (status.newAnchor !== next.hash || status.bundleSince === undefined) {
    return { status: { ...status, newAnchor: next.hash, bundleSince: timeText(nowMs) } }
  }
  const bundleSinceMs = Date.parse(status.bundleSince)
  const counted = { ...status, proxies: countProxies(facts) }
  if (nowMs - bundleSinceMs < settings.settleMs) return { status: counted }
  const old = facts.bundle.find(({ hash }) => hash === status.oldAnchor)
  // Under an anchor that has ended nobody can be reached; there is nothing left to wait for.
  const isOldUsable = old !== undefined && nowMs < old.notAfterMs
  const isHeldUp = facts.proxies.some(
    ({ hasBundle, createdMs }) => !hasBundle && nowMs < Math.max(bundleSinceMs, createdMs) + settings.graceMs,
  )
  return { status: isHeldUp && isOldUsable ? counted : enter(counted, 'issue', nowMs) }
}

function planIssue(status: IdentityStatus, facts: RotationFacts, settings: RotationSettings): RotationPlan {
  const { newAnchor } = status
  if (newAnchor === undefined) return { status: enter(status, 'distribute', facts.nowMs) }
  if (facts.issuerAnchor !== newAnchor) {
    // Its key was taken away before it was used: the next one has to be distributed first.
    if (facts.nextAnchor?.hash !== newAnchor && facts.ownAnchor?.hash !== newAnchor) {
      const { newAnchor: _, bundleSince: __, ...rest } = status
      return { status: enter(rest, 'distribute', facts.nowMs) }
    }
    return { act: isInBundle(newAnchor, facts) ? 'issue-from-next' : 'extend-bundle' }
  }
  if (facts.ownAnchor?.hash !== newAnchor && facts.nextAnchor?.hash === newAnchor) {
    return { act: 'keep-next-as-own' }
  }
  if (facts.replicaAnchors.some((anchor) => anchor !== newAnchor)) return { status }
  const retireAtMs = Math.max(Date.parse(status.leavesUntil), facts.nowMs + settings.leafMs)
  return { status: { ...enter(status, 'retire', facts.nowMs), retireAt: timeText(retireAtMs) } }
}

function planRetirement(status: IdentityStatus, facts: RotationFacts): RotationPlan {
  const { retireAt, oldAnchor, newAnchor } = status
  if (retireAt !== undefined && facts.nowMs < Date.parse(retireAt)) return { status }
  const isIssuerNew = facts.issuerAnchor === newAnchor
  if (oldAnchor !== undefined && isIssuerNew && isInBundle(oldAnchor, facts)) {
    return { act: 'remove-old-anchor' }
  }
  if (facts.nextAnchor !== undefined) return { act: 'remove-next-anchor' }
  const { answered, rotatedAt: _, refusal: __, leavesUntil } = status
  // Who asked while a rotation was under way has got one.
  const request = facts.request ?? answered
  return {
    status: {
      stage: 'idle',
      since: timeText(facts.nowMs),
      leavesUntil,
      rotatedAt: timeText(facts.nowMs),
      ...(request === undefined ? {} : { answered: request }),
    },
  }
}

/**
 * Remembers until when leaves may be valid, a tenth of their life ahead so that it is not written all the time. It never
 * shrinks: leaves of a longer setting that was given up live on.
 */
function withLeafBound(
  status: IdentityStatus,
  { nowMs }: RotationFacts,
  { leafMs }: RotationSettings,
): IdentityStatus {
  if (Date.parse(status.leavesUntil) >= nowMs + leafMs) return status
  const aheadMs = Math.min(3_600_000, Math.max(1000, leafMs / 10))
  return { ...status, leavesUntil: timeText(nowMs + leafMs + aheadMs) }
}

const maxNames = 10

function countProxies({ proxies }: RotationFacts): NonNullable<IdentityStatus['proxies']> {
  const missing = proxies.filter(({ hasBundle }) => !hasBundle)
  return {
    live: proxies.length,
    acknowledged: proxies.length - missing.length,
    waitingFor: missing
      .map(({ name }) => name)
      .sort()
      .slice(0, maxNames),
  }
}

function enter(status: IdentityStatus, stage: RotationStage, nowMs: number): IdentityStatus {
  const { refusal: _, ...rest } = status
  return { ...rest, stage, since: timeText(nowMs) }
}

function isInBundle(hash: string, { bundle }: RotationFacts): boolean {
  return bundle.some((anchor) => anchor.hash === hash)
}

function isInLastThird({ notBeforeMs, notAfterMs }: AnchorFact, nowMs: number): boolean {
  return notAfterMs - nowMs < (notAfterMs - notBeforeMs) / 3
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString()
}
