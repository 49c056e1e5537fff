import type { Clock } from '../../shared/clock.ts'
import type { LifecycleHandler } from '../objects.ts'
import { httpStatus, type ProbeTarget } from './probe-check.ts'

/**
 * Runs a `postStart` or `preStop` hook to its end.
 * @throws Error when it fails, or the signal aborts
 */
export async function runHook(
  hook: LifecycleHandler,
  target: ProbeTarget,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (hook.sleep !== undefined) await clock.sleep(hook.sleep.seconds * 1000, signal)
  if (hook.httpGet !== undefined) {
    const status = await httpStatus(hook.httpGet, target, signal)
    if (status >= 400) throw new Error(`HTTP hook answered with status ${status}`)
  }
  if (hook.exec !== undefined) {
    const { exitCode, output } = await target.exec(hook.exec.command, signal)
    if (exitCode !== 0) throw new Error(`command exited with ${exitCode}: ${output.trim()}`)
  }
}
