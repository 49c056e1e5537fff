import { isDeepStrictEqual } from 'node:util'
import { Computed } from '../../cluster/reactive.ts'
import type { Table } from '../../cluster/table.ts'
import { judgeBackends, judgeParent, type VerdictContext } from '../route/acceptance.ts'
import { parentKindOf } from '../route/attachment.ts'
import type { Route } from '../route/route.ts'
import type { ParentVerdict } from './conditions.ts'

/** What the status of a route should say of each parent of ours; undefined when the route is gone. */
export function routeVerdicts<R extends Route<unknown>>(
  id: string,
  routes: Table<R>,
  context: Omit<VerdictContext, 'observer'>,
): Computed<readonly ParentVerdict[] | undefined> {
  return new Computed<readonly ParentVerdict[] | undefined>(
    (observer) => {
      const route = routes.get(id, observer)
      if (route === undefined) return undefined
      const judging = { ...context, observer }
      const parents = route.parents.filter((parent) => parentKindOf(parent) !== undefined)
      if (parents.length === 0) return []
      const resolvedRefs = judgeBackends(route, judging)
      return parents.map((parent) => ({
        parent,
        accepted: judgeParent(route, parent, judging),
        resolvedRefs,
      }))
    },
    { same: isDeepStrictEqual },
  )
}
