import type { Clock } from '../shared/clock.ts'
import { MeshError } from '../shared/errors.ts'

/**
 * What a question answers, if it answers in time.
 * @throws MeshError `MESH_TIMEOUT`
 */
export async function within<T>(durationMs: number, clock: Clock, ask: () => Promise<T>): Promise<T> {
  const answered = new AbortController()
  const timeout = clock.sleep(durationMs, answered.signal).then(() => {
    throw new MeshError({
      code: 'MESH_TIMEOUT',
      kind: 'environment',
      message: `the cluster did not answer within ${durationMs / 1000} s`,
    })
  })
  timeout.catch(() => undefined)
  try {
    return await Promise.race([ask(), timeout])
  } finally {
    answered.abort(new Error('answered'))
  }
}
