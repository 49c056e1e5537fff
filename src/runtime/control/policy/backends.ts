import type { MeshConfig } from '../cluster/config.ts'
import type { Observer } from '../cluster/reactive.ts'
import type { Service } from '../cluster/service.ts'
import type { ClusterState } from '../cluster/state.ts'
import { idOf } from '../cluster/table.ts'
import type { Meta } from './meta.ts'
import type { Backend, Distribution, RouteBackend } from './outbound-policy.ts'
import { policyGroup, refersTo } from './reference.ts'
import type { BackendRef } from './route/route.ts'
import type { PolicyState } from './state.ts'
import type { TrafficSplit } from './traffic-split.ts'

/** What backends are looked up in. */
export interface BackendContext {
  cluster: ClusterState
  policies: PolicyState
  config: MeshConfig
  observer: Observer
  /** Where the client wants to go, when that is outside the cluster. */
  original?: { ip: string; port: number }
}

export function serviceMeta({ namespace, name }: { namespace: string; name: string }, port: number): Meta {
  return { kind: 'resource', group: 'core', resourceKind: 'Service', namespace, name, port }
}

/** The endpoints of a Service's port. */
export function serviceBackend(
  service: { namespace: string; name: string },
  port: number,
  config: MeshConfig,
): Backend {
  const path = `${service.name}.${service.namespace}.svc.${config.clusterDomain}:${port}`
  return { kind: 'balancer', meta: serviceMeta(service, port), path }
}

/** Why a reference does not lead to a backend. */
export interface BackendProblem {
  reason: 'InvalidKind' | 'BackendNotFound'
  message: string
}

/** What is wrong with a reference of a route in this namespace; undefined when nothing is. */
export function backendProblem(
  reference: BackendRef,
  routeNamespace: string,
  { cluster, policies, observer }: Pick<BackendContext, 'cluster' | 'policies' | 'observer'>,
): BackendProblem | undefined {
  const name = `${reference.namespace ?? routeNamespace}/${reference.name ?? ''}`
  if (isEgressNetwork(reference)) {
    const network = policies.egressNetworks.get(name, observer)
    if (network !== undefined && network.problem === undefined) return undefined
    return { reason: 'BackendNotFound', message: `there is no usable EgressNetwork ${name}` }
  }
  if (!isService(reference)) {
    return { reason: 'InvalidKind', message: `${reference.kind} ${name} cannot be a backend` }
  }
  const service = cluster.services.get(name, observer)
  if (service === undefined) return { reason: 'BackendNotFound', message: `there is no Service ${name}` }
  if (service.isExternalName) {
    return { reason: 'BackendNotFound', message: `Service ${name} is an ExternalName, without endpoints` }
  }
  if (reference.port === undefined) {
    return { reason: 'BackendNotFound', message: `the reference to Service ${name} has no port` }
  }
  return hasPort(service, reference.port)
    ? undefined
    : { reason: 'BackendNotFound', message: `Service ${name} has no port ${reference.port}` }
}

function isEgressNetwork(reference: BackendRef): boolean {
  return refersTo(reference, policyGroup, 'EgressNetwork')
}

/** The kind of a backend is Service unless it says otherwise. */
function isService(reference: BackendRef): boolean {
  return refersTo({ ...reference, kind: reference.kind ?? 'Service' }, '', 'Service')
}

function hasPort(service: Service, port: number): boolean {
  return service.isHeadless || service.ports.some(({ number }) => number === port)
}

/**
 * The backends of a rule in proportion to their weights. One that does not exist keeps its share, and answers it with
 * 500 (Gateway API, HTTPBackendRef).
 */
export function referencedBackends(
  references: readonly BackendRef[],
  routeNamespace: string,
  context: BackendContext,
): Distribution {
  const backends = references.map((reference) => ({
    weight: reference.weight,
    ...referencedBackend(reference, routeNamespace, context),
  }))
  return weighted(backends)
}

function referencedBackend(
  reference: BackendRef,
  routeNamespace: string,
  context: BackendContext,
): RouteBackend {
  const problem = backendProblem(reference, routeNamespace, context)
  const { name = '', port = 0 } = reference
  const target = { namespace: reference.namespace ?? routeNamespace, name }
  if (problem !== undefined) {
    const meta: Meta = { kind: 'default', name: 'invalid' }
    return { backend: { kind: 'invalid', meta, message: problem.message } }
  }
  return {
    backend: isEgressNetwork(reference)
      ? forwardBackend(target, context)
      : serviceBackend(target, port, context.config),
    ...(reference.filters.length === 0 ? {} : { filters: reference.filters }),
  }
}

/** Where the client wanted to go, outside the cluster. */
export function forwardBackend(
  { namespace, name }: { namespace: string; name: string },
  { original }: BackendContext,
): Backend {
  if (original === undefined) {
    const message = `EgressNetwork ${namespace}/${name} is for traffic that leaves the cluster`
    return { kind: 'invalid', meta: { kind: 'default', name: 'invalid' }, message }
  }
  const meta = egressMeta({ namespace, name }, original.port)
  return { kind: 'forward', meta, ...original }
}

export function egressMeta({ namespace, name }: { namespace: string; name: string }, port: number): Meta {
  return { kind: 'resource', group: policyGroup, resourceKind: 'EgressNetwork', namespace, name, port }
}

/** Backends without weight get nothing; when none has weight, every request fails. */
function weighted(backends: readonly (RouteBackend & { weight: number })[]): Distribution {
  const effective = backends.filter(({ weight }) => weight > 0)
  if (effective.length > 0) return { kind: 'random-available', backends: effective }
  const meta: Meta = { kind: 'default', name: 'invalid' }
  const backend: Backend = { kind: 'invalid', meta, message: 'no backend has any weight' }
  return { kind: 'random-available', backends: [{ backend, weight: 1 }] }
}

/** Where the traffic to a Service's port goes when no route says so: to its own endpoints, or as a split says. */
export function backendsOfParent(
  service: Service,
  port: number,
  split: TrafficSplit | undefined,
  context: BackendContext,
): Distribution {
  if (split === undefined) {
    return { kind: 'first-available', backends: [{ backend: serviceBackend(service, port, context.config) }] }
  }
  const portName = service.ports.find(({ number }) => number === port)?.name
  return weighted(
    split.backends.map((leaf) => ({
      weight: leaf.weight,
      backend: leafBackend(service.namespace, leaf.service, { port, portName }, context),
    })),
  )
}

/** A leaf has the port of the same number, else of the same name. */
function leafBackend(
  namespace: string,
  name: string,
  { port, portName }: { port: number; portName: string | undefined },
  { cluster, config, observer }: BackendContext,
): Backend {
  const leaf = cluster.services.get(idOf(namespace, name), observer)
  const meta: Meta = { kind: 'default', name: 'invalid' }
  if (leaf === undefined) {
    return { kind: 'invalid', meta, message: `there is no Service ${namespace}/${name}` }
  }
  if (hasPort(leaf, port)) return serviceBackend(leaf, port, config)
  const named =
    portName === undefined || portName === '' ? undefined : leaf.ports.find((each) => each.name === portName)
  return named === undefined
    ? { kind: 'invalid', meta, message: `Service ${namespace}/${name} has no port ${port}` }
    : serviceBackend(leaf, named.number, config)
}
