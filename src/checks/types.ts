import type { Clock } from '../runtime/shared/clock.ts'
import type { ClusterView } from './cluster-view.ts'

/** What a check looks at. */
export interface CheckContext {
  cluster: ClusterView
  /** Namespace of the control plane. */
  controlPlaneNamespace: string
  /** Of `--proxy`: only this namespace's proxies; all when absent. */
  dataPlaneNamespace?: string
  /** Version of this program. */
  cliVersion: string
  clock: Clock
}

/** One thing that must hold. */
export interface Check {
  /** Stable: `MESH_CHECK_` and words. `mesh explain CODE` tells more. */
  code: `MESH_CHECK_${string}`
  /** What must hold, in Linkerd's words where Linkerd has the check. */
  description: string
  /** Part of Linkerd's page of checks that treats the same thing, if there is one. */
  anchor?: string
  /** What stops everything after it when it fails. */
  isFatal?: boolean
  /** A failure is worth knowing and no more. */
  isWarning?: boolean
  /** Whether waiting may help. */
  isRetried?: boolean
  /** What mends it: a command that can be pasted, or a sentence. */
  fix?: string
  /** Returns when it holds; throws {@link CheckFailure} when not, {@link CheckSkip} when it does not apply. */
  run(context: CheckContext): Promise<void>
}

/** Checks that belong together, under Linkerd's name. */
export interface Category {
  id: string
  checks: readonly Check[]
}

/** A check does not hold. Any other error that a check throws counts as the same. */
export class CheckFailure extends Error {}

/** A check does not apply, such as one for high availability without it. */
export class CheckSkip extends Error {}

/** How one check ended. */
export interface CheckResult {
  category: string
  check: Check
  outcome: 'success' | 'warning' | 'error' | 'skipped'
  /** Why it does not hold, or why it was skipped. */
  reason?: string
}

/** Who is told while checks run: the text, JSON and terminal views are three of them. */
export interface CheckObserver {
  /** A category begins. */
  onCategory?(id: string): void
  /** A check does not hold yet and will be tried again. */
  onWaiting?(check: Check, reason: string): void
  onResult?(result: CheckResult): void
}
