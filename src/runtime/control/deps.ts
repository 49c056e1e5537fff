import type { Registry } from 'prom-client'
import type { KubeConnection } from '../kube/client.ts'
import type { Clock } from '../shared/clock.ts'
import type { EnvReader } from '../shared/env.ts'
import type { Logger } from '../shared/logger.ts'
import type { ControllerFlags, FlagDefinition } from './flags.ts'
import type { ReadyGuard } from './readiness.ts'

/** What every controller is given. */
export interface ControllerDeps {
  readonly kube: KubeConnection
  readonly logger: Logger
  readonly clock: Clock
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal
  /** Served at `/metrics`. */
  readonly metrics: Registry
  /** Names something that must be there before `/ready` says so. */
  readonly ready: (name: string) => ReadyGuard
  readonly flags: ControllerFlags
  /** The controller's own flags, by name. */
  readonly options: Readonly<Record<string, string>>
  readonly env: EnvReader
}

/** What the `main.ts` of a controller exports. */
export interface ControllerModule {
  /** Flags beyond the common ones. */
  readonly flags?: Record<string, FlagDefinition>
  /** Runs until the signal aborts and everything is closed, or, for a job, until the work is done. */
  run(deps: ControllerDeps): Promise<void>
}
