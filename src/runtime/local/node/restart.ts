import type { NodeTiming } from './parts.ts'
import type { ContainerKind } from './pod-status.ts'

/** Whether a container that ended is started again. */
export function shallRestart(kind: ContainerKind, policy: string, exitCode: number): boolean {
  switch (kind) {
    case 'sidecar':
      return true
    case 'init':
      return exitCode !== 0 && policy !== 'Never'
    case 'app':
      return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)
  }
}

/** How long the restarts of a container wait: the first not at all, each later one twice as long as the one before. */
export class RestartBackOff {
  readonly #timing: NodeTiming
  #restarts = 0

  constructor(timing: NodeTiming) {
    this.#timing = timing
  }

  /**
   * Milliseconds before the next restart.
   * @param ranMs how long the container ran; after a long run the wait begins anew
   */
  next(ranMs: number): number {
    const { crashBackOffMs, longestCrashBackOffMs, crashBackOffResetMs } = this.#timing
    if (ranMs >= crashBackOffResetMs) this.#restarts = 0
    const doublings = this.#restarts++ - 1
    return doublings < 0 ? 0 : Math.min(crashBackOffMs * 2 ** doublings, longestCrashBackOffMs)
  }
}
