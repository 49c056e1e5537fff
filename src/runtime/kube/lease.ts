import type { Clock } from '../shared/clock.ts'
import { resources } from './resources.ts'
import { type KubeClient, KubeError, type KubeObject } from './types.ts'

/** `coordination.k8s.io/v1` Lease; times are RFC 3339 with microseconds. */
interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string | null
    leaseDurationSeconds?: number
    acquireTime?: string
    renewTime?: string | null
    leaseTransitions?: number
  }
}

export interface LeaderOptions {
  client: KubeClient
  namespace: string
  /** Name of the Lease; created when missing. */
  name: string
  /** Unique among those who compete, such as the pod's name. */
  identity: string
  clock: Clock
  /** Ends the competition; a leader gives the lease back. */
  signal: AbortSignal
  /** How long others wait for a leader that is silent. */
  leaseDurationMs?: number
  /** A leader that could not renew for so long steps down. Less than the lease. */
  renewDeadlineMs?: number
  retryPeriodMs?: number
  random?: () => number
  onError?: (error: unknown) => void
}

/**
 * Competes for a Lease and runs `lead` while it is held; its signal aborts when the lease is lost. Competes again
 * when `lead` ends. The clocks of the others are not trusted: a lease is taken over only after its renewal was *seen*
 * unchanged for the whole duration.
 */
export async function runAsLeader(
  options: LeaderOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, signal, leaseDurationMs = 15_000, retryPeriodMs = 2_000, random = Math.random } = options
  let seen: { version: string; atMs: number } | undefined
  while (!signal.aborted) {
    try {
      const lease = await options.client.read<Lease>(resources.leases, options.name, options.namespace)
      const version = lease?.metadata.resourceVersion ?? ''
      if (seen?.version !== version) seen = { version, atMs: clock.nowMs() }
      const isFree =
        isUnheld(lease) ||
        lease?.spec?.holderIdentity === options.identity ||
        clock.nowMs() - seen.atMs > leaseDurationMs
      if (isFree && (await acquire(options, lease, leaseDurationMs))) {
        await leadUntilLost(options, lead)
        seen = undefined
        continue
      }
    } catch (error) {
      options.onError?.(error)
    }
    await clock.sleep(retryPeriodMs * (1 + random()), signal).catch(() => {})
  }
}

function isUnheld(lease: Lease | undefined): boolean {
  const holder = lease?.spec?.holderIdentity
  return holder === undefined || holder === null || holder === ''
}

/** Whether the lease is ours. A conflict means that another was quicker. */
async function acquire(
  options: LeaderOptions,
  lease: Lease | undefined,
  leaseDurationMs: number,
): Promise<boolean> {
  const now = microTime(options.clock.nowMs())
  const isOurs = lease?.spec?.holderIdentity === options.identity
  const spec = {
    holderIdentity: options.identity,
    leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
    acquireTime: isOurs ? (lease.spec?.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (isOurs || lease === undefined ? 0 : 1),
  }
  try {
    if (lease === undefined) {
      const metadata = { name: options.name, namespace: options.namespace }
      await options.client.create<Lease>(resources.leases, { metadata, spec })
    } else {
      await options.client.replace<Lease>(resources.leases, { ...lease, spec })
    }
    return true
  } catch (error) {
    if (error instanceof KubeError && error.status === 409) return false
    throw error
  }
}

async function leadUntilLost(
  options: LeaderOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const leading = new AbortController()
  const renewal = keepRenewed(options, leading)
  try {
    await lead(AbortSignal.any([leading.signal, options.signal]))
  } catch (error) {
    if (!leading.signal.aborted && !options.signal.aborted) options.onError?.(error)
  } finally {
    leading.abort(new Error('no longer the leader'))
    await renewal
    await release(options).catch((error: unknown) => options.onError?.(error))
  }
}

async function keepRenewed(options: LeaderOptions, leading: AbortController): Promise<void> {
  const { clock, renewDeadlineMs = 10_000, retryPeriodMs = 2_000, leaseDurationMs = 15_000 } = options
  const either = AbortSignal.any([leading.signal, options.signal])
  let renewedMs = clock.nowMs()
  while (!either.aborted) {
    if (
      await clock.sleep(retryPeriodMs, either).then(
        () => false,
        () => true,
      )
    )
      return
    try {
      const lease = await options.client.read<Lease>(resources.leases, options.name, options.namespace)
      if (lease?.spec?.holderIdentity !== options.identity) break
      if (await acquire(options, lease, leaseDurationMs)) renewedMs = clock.nowMs()
    } catch (error) {
      options.onError?.(error)
    }
    if (clock.nowMs() - renewedMs > renewDeadlineMs) break
  }
  leading.abort(new Error('the lease was lost'))
}

/** Lets the next leader start at once. */
async function release(options: LeaderOptions): Promise<void> {
  const lease = await options.client.read<Lease>(resources.leases, options.name, options.namespace)
  if (lease?.spec?.holderIdentity !== options.identity) return
  await options.client.replace<Lease>(resources.leases, {
    ...lease,
    spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 },
  })
}

function microTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '000Z')
}
