import type { MeshConfig } from '../../cluster/config.ts'
import type { Observer } from '../../cluster/reactive.ts'
import type { ClusterState } from '../../cluster/state.ts'
import { idOf } from '../../cluster/table.ts'
import { backendProblem } from '../backends.ts'
import type { PolicyState } from '../state.ts'
import { type ParentKind, parentKey, parentKindOf, serviceParentProblem } from './attachment.ts'
import type { ParentRef, Route } from './route.ts'

/** What a condition says of a route and one of its parents. */
export interface Verdict {
  isTrue: boolean
  reason: string
  message: string
}

/** What routes are judged by. */
export interface VerdictContext {
  cluster: ClusterState
  policies: PolicyState
  config: MeshConfig
  observer: Observer
}

const accepted: Verdict = { isTrue: true, reason: 'Accepted', message: '' }

/** Whether a route takes effect at a parent. The parent is of one of our kinds. */
export function judgeParent(route: Route<unknown>, parent: ParentRef, context: VerdictContext): Verdict {
  if (route.problem !== undefined) return refuse('UnsupportedValue', route.problem)
  const kind = parentKindOf(parent)
  const namespace = parent.namespace ?? route.namespace
  const name = parent.name ?? ''
  switch (kind) {
    case 'Service':
      return judgeService(route, parent, { namespace, name }, context)
    case 'Server': {
      if (namespace !== route.namespace) return noParent('a Server takes routes of its own namespace only')
      const server = context.cluster.servers.get(idOf(namespace, name), context.observer)
      return server === undefined ? noParent(`there is no Server ${namespace}/${name}`) : accepted
    }
    case 'EgressNetwork': {
      const network = context.policies.egressNetworks.get(idOf(namespace, name), context.observer)
      if (network === undefined) return noParent(`there is no EgressNetwork ${namespace}/${name}`)
      return network.problem === undefined ? accepted : noParent(network.problem.message)
    }
    case undefined:
      return noParent(`${parent.kind ?? 'this kind'} cannot have routes`)
  }
}

function judgeService(
  route: Route<unknown>,
  parent: ParentRef,
  { namespace, name }: { namespace: string; name: string },
  context: VerdictContext,
): Verdict {
  const service = context.cluster.services.get(idOf(namespace, name), context.observer)
  if (service === undefined) return noParent(`there is no Service ${namespace}/${name}`)
  const problem = serviceParentProblem(service, parent.port)
  if (problem !== undefined) return noParent(problem)
  const isShadowed =
    route.kind === 'HTTPRoute' && hasGrpcRoute(parent, 'Service', { namespace, name }, context)
  return isShadowed
    ? refuse('RouteReasonConflicted', 'a GRPCRoute is attached to the same port, and comes before HTTPRoutes')
    : accepted
}

function hasGrpcRoute(
  parent: ParentRef,
  kind: ParentKind,
  { namespace, name }: { namespace: string; name: string },
  { policies, observer }: VerdictContext,
): boolean {
  return policies.grpcRoutesByParent
    .rows(parentKey(kind, namespace, name), observer)
    .some(
      (route) =>
        route.problem === undefined &&
        route.parents.some(
          (reference) =>
            parentKindOf(reference) === kind &&
            reference.name === name &&
            (reference.namespace ?? route.namespace) === namespace &&
            reference.port === parent.port,
        ),
    )
}

/** Whether everything that a route's rules refer to is there. */
export function judgeBackends(route: Route<unknown>, context: VerdictContext): Verdict {
  for (const rule of route.rules) {
    for (const backend of rule.backends) {
      const problem = backendProblem(backend, route.namespace, context)
      if (problem !== undefined) return refuse(problem.reason, problem.message)
    }
  }
  return { isTrue: true, reason: 'ResolvedRefs', message: '' }
}

function noParent(message: string): Verdict {
  return refuse('NoMatchingParent', message)
}

function refuse(reason: string, message: string): Verdict {
  return { isTrue: false, reason, message }
}
