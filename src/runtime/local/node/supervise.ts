import type { Clock } from '../../shared/clock.ts'
import type { Container, Probe } from '../objects.ts'
import { checkProbe, type ProbeTarget } from './probe-check.ts'
import { runProbe } from './probe-loop.ts'

export type ProbeName = 'Startup' | 'Readiness' | 'Liveness'

/** A container that runs, and what to do about what its probes find. */
export interface Supervision {
  container: Container
  clock: Clock
  target: ProbeTarget
  /** Aborts when the container has ended. */
  ended: AbortSignal
  /** Aborts when the container is to end for good. */
  stopping: AbortSignal
  /** The startup probe has succeeded, or there is none. */
  onStarted(): void
  onReadiness(isReady: boolean): void
  /** The container has to be restarted. */
  onFailed(name: ProbeName, message: string, probe: Probe): void
  /** One check failed. */
  onUnhealthy(message: string): void
}

/** Probes a container until it ends: first the startup probe alone, then the others. */
export function supervise(supervision: Supervision): void {
  const { container, onStarted, onFailed } = supervision
  const { startupProbe } = container
  if (startupProbe === undefined) {
    onStarted()
    superviseStarted(supervision)
    return
  }
  probeUntilDecided(supervision, startupProbe, (isHealthy, message) => {
    if (!isHealthy) return onFailed('Startup', message, startupProbe)
    onStarted()
    superviseStarted(supervision)
  })
}

function superviseStarted(supervision: Supervision): void {
  const { container, ended, stopping, onReadiness, onFailed } = supervision
  const { readinessProbe, livenessProbe } = container
  if (readinessProbe !== undefined) {
    // Readiness is still of interest while the container stops; restarting it is not.
    probe(supervision, { name: 'Readiness', probe: readinessProbe, signal: ended, onDecision: onReadiness })
  }
  if (livenessProbe !== undefined) {
    const onDecision = (isHealthy: boolean, message: string) => {
      if (!isHealthy) onFailed('Liveness', message, livenessProbe)
    }
    const signal = AbortSignal.any([ended, stopping])
    probe(supervision, { name: 'Liveness', probe: livenessProbe, signal, onDecision })
  }
}

/** The first decision of a startup probe is its last. */
function probeUntilDecided(
  supervision: Supervision,
  startupProbe: Probe,
  decide: (isHealthy: boolean, message: string) => void,
): void {
  const decided = new AbortController()
  const signal = AbortSignal.any([supervision.ended, supervision.stopping, decided.signal])
  const onDecision = (isHealthy: boolean, message: string) => {
    decided.abort(new Error('decided'))
    decide(isHealthy, message)
  }
  probe(supervision, { name: 'Startup', probe: startupProbe, signal, onDecision })
}

interface ProbeTask {
  name: ProbeName
  probe: Probe
  signal: AbortSignal
  onDecision: (isHealthy: boolean, message: string) => void
}

function probe(supervision: Supervision, task: ProbeTask): void {
  const { clock, target, onUnhealthy } = supervision
  const options = {
    clock,
    check: () => checkProbe(task.probe, target),
    onDecision: task.onDecision,
    onFailure: (message: string) => onUnhealthy(`${task.name} probe failed: ${message}`),
    isEager: task.name !== 'Liveness',
  }
  void runProbe(task.probe, options, task.signal)
}
