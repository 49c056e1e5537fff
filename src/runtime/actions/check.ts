import { ClusterView } from '../../checks/cluster-view.ts'
import { type CheckScope, categoriesOf } from '../../checks/registry.ts'
import { isHealthy, runChecks } from '../../checks/run.ts'
import type { CheckObserver, CheckResult } from '../../checks/types.ts'
import type { KubeClient } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import { MeshError } from '../shared/errors.ts'

/** What to check, and how long to wait for it. */
export interface CheckOptions {
  scope: CheckScope
  controlPlaneNamespace: string
  dataPlaneNamespace?: string
  cliVersion: string
  /** How long to wait for checks that may yet hold; 0 asks once. */
  waitMs: number
}

export interface CheckDeps {
  /** Throws when the kubeconfig is wrong: that is the first check. */
  connect: () => KubeClient
  clock: Clock
  observer?: CheckObserver
}

/** Runs the checks of a scope. */
export async function check(
  options: CheckOptions,
  deps: CheckDeps,
): Promise<{ results: CheckResult[]; isHealthy: boolean }> {
  const { scope, waitMs, controlPlaneNamespace, dataPlaneNamespace, cliVersion } = options
  const results = await runChecks(
    categoriesOf(scope),
    {
      cluster: new ClusterView(deps.connect),
      controlPlaneNamespace,
      cliVersion,
      clock: deps.clock,
      ...(dataPlaneNamespace === undefined ? {} : { dataPlaneNamespace }),
    },
    { waitMs, ...(deps.observer === undefined ? {} : { observer: deps.observer }) },
  )
  return { results, isHealthy: isHealthy(results) }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/**
 * A duration such as `90s`, `5m` or `1m30s`, in milliseconds; a bare `0` is none.
 * @throws MeshError `MESH_USAGE_INVALID_VALUE`
 */
export function parseWait(text: string): number {
  if (text === '0') return 0
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new MeshError({
      code: 'MESH_USAGE_INVALID_VALUE',
      kind: 'usage',
      message: `--wait: ${JSON.stringify(text)} is not a duration`,
      next: ['Write it as 30s, 5m or 0.'],
    })
  }
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ''] ?? 0), 0)
}
