import { Registry } from 'prom-client'
import type { ControllerDeps } from '../../src/runtime/control/deps.ts'
import { type FlagDefinition, parseFlags } from '../../src/runtime/control/flags.ts'
import { Readiness } from '../../src/runtime/control/readiness.ts'
import type { KubeConnection } from '../../src/runtime/kube/client.ts'
import { type Clock, systemClock } from '../../src/runtime/shared/clock.ts'
import { createLogger } from '../../src/runtime/shared/logger.ts'

/** What a controller is given, for a test. */
export interface TestDeps {
  deps: ControllerDeps
  readiness: Readiness
  stop: () => void
}

export function controllerDeps(
  kube: KubeConnection,
  own: Record<string, FlagDefinition>,
  args: string[] = [],
  clock: Clock = systemClock,
): TestDeps {
  const stopping = new AbortController()
  const readiness = new Readiness()
  const { flags, options } = parseFlags(args, 'test', '', own)
  return {
    readiness,
    stop: () => stopping.abort(new Error('the test ended')),
    deps: {
      kube,
      logger: createLogger('test', 'silent'),
      clock,
      signal: stopping.signal,
      metrics: new Registry(),
      ready: (name) => readiness.guard(name),
      flags,
      options,
      env: () => undefined,
    },
  }
}
