import { isDeepStrictEqual } from 'node:util'
import type { Resource } from '../../../kube/types.ts'
import type { Clock } from '../../../shared/clock.ts'
import { messageOf } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/logger.ts'
import { Computed, latest } from '../../cluster/reactive.ts'
import type { Table } from '../../cluster/table.ts'
import { KeyedQueue } from '../../queue.ts'
import type { Judge, VerdictSources } from './verdicts.ts'
import type { StatusWriter } from './write.ts'

const concurrency = 4

/** A kind of resource whose statuses are written. */
export interface FollowedKind<R, V> {
  table: Table<R>
  judge: Judge<R, V>
  resourceOf: (row: R) => Resource
  render: (row: R, verdict: V, current: object, generation: number, now: string) => object
}

export interface FollowDeps {
  sources: VerdictSources
  writer: StatusWriter
  clock: Clock
  logger: Logger
}

/** Judges every row of a kind, again whenever something changes that the verdict is made from, until the signal. */
export async function follow<R extends { namespace: string; name: string }, V>(
  kind: FollowedKind<R, V>,
  { sources, writer, clock, logger }: FollowDeps,
  leading: AbortSignal,
): Promise<void> {
  const wanted = new Map<string, { row: R; verdict: V }>()
  const queue = new KeyedQueue({
    clock,
    signal: leading,
    concurrency,
    work: async (id) => {
      const task = wanted.get(id)
      if (task === undefined) return
      const { row, verdict } = task
      await writer.write(kind.resourceOf(row), row, (...status) => kind.render(row, verdict, ...status))
    },
    onError: (id, error) => logger.warn({ id, reason: messageOf(error) }, 'a status was not written'),
  })
  const judged = (id: string) =>
    new Computed<{ row: R; verdict: V } | undefined>(
      (observer) => {
        const row = kind.table.get(id, observer)
        return row === undefined ? undefined : { row, verdict: kind.judge(row, { ...sources, observer }) }
      },
      { same: isDeepStrictEqual },
    )
  const followOne = async (id: string, ended: AbortSignal) => {
    for await (const task of latest(judged(id), sources.cluster.wakeups, ended)) {
      if (task === undefined) continue
      wanted.set(id, task)
      queue.add(id)
    }
    wanted.delete(id)
  }
  // Any change of a row, back and forth too, may mean that a status was overwritten.
  const noticed = kind.table.onRow((id) => queue.add(id))
  const stop = followRows(kind.table, followOne)
  await untilAborted(leading)
  noticed()
  stop()
  await queue.whenIdle()
}

/** Runs a task for each row for as long as the row is there. */
function followRows<R>(table: Table<R>, task: (id: string, ended: AbortSignal) => Promise<void>): () => void {
  const followed = new Map<string, AbortController>()
  const stop = table.onRow((id, row) => {
    if (row === undefined) {
      followed.get(id)?.abort(new Error('the object is gone'))
      followed.delete(id)
    } else if (!followed.has(id)) {
      const ending = new AbortController()
      followed.set(id, ending)
      void task(id, ending.signal)
    }
  })
  return () => {
    stop()
    for (const ending of followed.values()) ending.abort(new Error('no longer the leader'))
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
