import { runAsLeader } from '../../kube/lease.ts'
import type { IdentityStatus, RotationStage } from '../../shared/identity-status.ts'
import type { ControllerDeps } from '../deps.ts'
import { EventRecorder } from '../events.ts'
import { clearReports, writeReport } from './acknowledgements.ts'
import type { IssuerHolder } from './issuer-holder.ts'
import { isConflict, type RotationOptions, stepRotation } from './rotate.ts'
import { hashOf } from './rotation.ts'
import type { IdentityState } from './state.ts'
import type { TrustHub } from './trust-hub.ts'

const leaseName = 'linkerd-identity'
const idlePeriodMs = 60_000
/** During a rotation: often at first, then less, since a look costs a list of all pods. */
const busyPeriodMs = { min: 1_000, max: 10_000 }
const retryPeriodMs = 2_000
const reportPeriodMs = 500

/** Rotates the trust anchor, as the one of all replicas that leads, until the signal aborts. */
export async function leadRotation(
  deps: ControllerDeps,
  state: IdentityState,
  options: RotationOptions,
): Promise<void> {
  const wake = wakeOn(state)
  const tell = teller(deps)
  const { kube, clock, signal, logger } = deps
  const { namespace, replica: identity } = options
  const onError = (error: unknown) => logger.warn({ err: error }, 'leading')
  const lease = { client: kube, namespace, name: leaseName, identity, clock, signal, onError }
  await runAsLeader(lease, async (lost) => {
    let last: IdentityStatus | undefined
    while (!lost.aborted) {
      const step = await stepRotation(options).catch((error: unknown) => {
        if (!isConflict(error)) logger.warn({ err: error }, 'the trust anchor cannot be looked after')
        return undefined
      })
      if (step !== undefined) await noteStage(step.status, last)
      last = step?.status ?? last
      if (step?.isMore === true) continue
      const waitMs = step === undefined ? retryPeriodMs : pauseMs(step.status, clock.nowMs())
      await wake(waitMs, (ms, either) => clock.sleep(ms, either), lost)
    }
  })

  async function noteStage(status: IdentityStatus, last: IdentityStatus | undefined): Promise<void> {
    if (status.stage === last?.stage) return
    if (last !== undefined) tell(status)
    // Reports belong to one rotation.
    if (status.stage === 'idle' || status.stage === 'retire')
      await clearReports(kube, namespace).catch(onError)
  }
}

function pauseMs(status: IdentityStatus, nowMs: number): number {
  if (status.stage === 'idle') return idlePeriodMs
  const elapsedMs = nowMs - Date.parse(status.since)
  return Math.min(busyPeriodMs.max, Math.max(busyPeriodMs.min, elapsedMs / 10))
}

type Wait = (
  waitMs: number,
  sleep: (ms: number, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
) => Promise<void>

/** Waits until the time is over or what is watched has changed. */
function wakeOn(state: IdentityState): Wait {
  let changed = new AbortController()
  state.onChange(() => {
    changed.abort(new Error('changed'))
  })
  return async (waitMs, sleep, signal) => {
    await sleep(waitMs, AbortSignal.any([changed.signal, signal])).catch(() => {})
    changed = new AbortController()
  }
}

const messages: Record<RotationStage, string> = {
  idle: 'The rotation of the trust anchor is over; only the new one is trusted',
  distribute: 'A rotation of the trust anchor began; proxies get the new anchor beside the old one',
  issue: 'Proxies have the new trust anchor; certificates are issued under it from now on',
  retire: 'The old trust anchor goes when the last certificate under it has ended',
}

function teller(deps: ControllerDeps): (status: IdentityStatus) => void {
  const { kube, clock, logger } = deps
  const events = new EventRecorder({ kube, clock, component: 'linkerd-identity' })
  const target = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: 'linkerd-identity',
    namespace: deps.flags.controllerNamespace,
  }
  return (status) => {
    logger.info({ stage: status.stage, retireAt: status.retireAt }, messages[status.stage])
    events.record(target, 'Normal', 'TrustAnchorRotation', messages[status.stage])
  }
}

/** Tells the leader, while it rotates, which proxies this replica knows to have the bundle. */
export async function reportAcknowledgements(
  deps: ControllerDeps,
  parts: { state: IdentityState; holder: IssuerHolder; hub: TrustHub; replica: string },
): Promise<void> {
  const { kube, clock, signal, logger } = deps
  const { state, holder, hub, replica } = parts
  let written = ''
  while (!signal.aborted) {
    const stage = state.status()?.stage
    const { bundle } = hub
    if (stage !== 'distribute' && stage !== 'issue') written = ''
    else if (bundle !== undefined && holder.current !== undefined) {
      const report = {
        revision: bundle.revision,
        issuerAnchor: hashOf(holder.current.anchor),
        pods: hub.podsWithBundle().sort(),
      }
      const text = JSON.stringify(report)
      try {
        if (text !== written) await writeReport(kube, deps.flags.controllerNamespace, replica, report)
        written = text
      } catch (error) {
        logger.warn({ err: error }, 'acknowledgements were not written')
      }
    }
    await clock.sleep(reportPeriodMs, signal).catch(() => {})
  }
}
