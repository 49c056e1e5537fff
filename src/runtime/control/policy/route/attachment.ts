import type { Service } from '../../cluster/service.ts'
import { refersTo } from '../reference.ts'
import type { ParentRef, Route } from './route.ts'

/** The kinds that a route can be attached to here. */
export const parentKinds = [
  { group: '', kind: 'Service' },
  { group: 'policy.linkerd.io', kind: 'Server' },
  { group: 'policy.linkerd.io', kind: 'EgressNetwork' },
] as const
export type ParentKind = (typeof parentKinds)[number]['kind']

/** The kind of a parent; undefined for one that is another controller's, such as a Gateway. */
export function parentKindOf(parent: ParentRef): ParentKind | undefined {
  return parentKinds.find(({ group, kind }) => refersTo(parent, group, kind))?.kind
}

/** What routes of a parent are indexed by. */
export function parentKey(kind: ParentKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`
}

/** The keys of all parents of a route. */
export function parentKeys(route: Route<unknown>): string[] {
  const keys = route.parents.flatMap((parent) => {
    const kind = parentKindOf(parent)
    return kind === undefined ? [] : [parentKey(kind, parent.namespace ?? route.namespace, parent.name ?? '')]
  })
  return [...new Set(keys)]
}

/** The references of a route to a parent, for one of its ports. */
export function refersToPort(
  route: Route<unknown>,
  kind: ParentKind,
  parent: { namespace: string; name: string },
  port: number,
): boolean {
  return route.parents.some(
    (reference) =>
      parentKindOf(reference) === kind &&
      reference.name === parent.name &&
      (reference.namespace ?? route.namespace) === parent.namespace &&
      (reference.port === undefined || reference.port === port),
  )
}

/** Why a Service cannot have routes; undefined when it can. */
export function serviceParentProblem(service: Service, port?: number): string | undefined {
  if (service.isExternalName || service.isHeadless) {
    const kind = service.isHeadless ? 'headless' : 'an ExternalName'
    return `Service ${service.namespace}/${service.name} is ${kind}; only Services with a ClusterIP have routes`
  }
  const hasPort = port === undefined || service.ports.some(({ number }) => number === port)
  return hasPort ? undefined : `Service ${service.namespace}/${service.name} has no port ${port}`
}

/**
 * The routes that a client's requests to a parent's port go by, the most important first. Routes in the namespace of
 * the parent are for everybody; routes in the client's own namespace are for its clients only, and replace those
 * (GEP-1426: producer and consumer routes).
 */
export function effectiveRoutes<R extends Route<unknown>>(
  routes: readonly R[],
  parent: { kind: ParentKind; namespace: string; name: string },
  port: number,
  clientNamespace: string,
): R[] {
  const attached = routes.filter(
    (route) => route.problem === undefined && refersToPort(route, parent.kind, parent, port),
  )
  const isConsumers = (route: R) =>
    route.namespace === clientNamespace && route.namespace !== parent.namespace
  const consumers = attached.filter(isConsumers)
  const effective =
    consumers.length > 0 ? consumers : attached.filter(({ namespace }) => namespace === parent.namespace)
  return effective.sort(byPrecedence)
}

/** Oldest first, then by namespace and name (Gateway API, conflict resolution). */
export function byPrecedence(left: Route<unknown>, right: Route<unknown>): number {
  const names = [left, right].map(({ namespace, name, group }) => `${namespace}/${name}/${group}`)
  return left.createdMs - right.createdMs || ((names[0] ?? '') < (names[1] ?? '') ? -1 : 1)
}
