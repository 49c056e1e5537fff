import type { Observer } from '../../cluster/reactive.ts'
import type { ClusterState } from '../../cluster/state.ts'
import { idOf } from '../../cluster/table.ts'
import type { MeshTlsAuthenticationObject, NetworkAuthenticationObject } from '../authentication.ts'
import type { AuthorizationPolicyObject } from '../authorization.ts'
import { policyGroup, type Reference, refersTo } from '../reference.ts'
import type { ServerAuthorizationObject } from '../server-authorization.ts'
import type { PolicyState } from '../state.ts'
import type { Findings } from './findings.ts'
import { reviewNetworks } from './networks.ts'

/** What references are looked up in. */
export interface ReviewContext {
  cluster: ClusterState
  policies: PolicyState
  namespace: string
}

/** Reads without wanting to hear of changes. */
const once: Observer = { depend: () => {}, invalidate: () => {} }

const gatewayGroup = 'gateway.networking.k8s.io'

export function reviewAuthorizationPolicy(
  object: AuthorizationPolicyObject,
  context: ReviewContext,
  findings: Findings,
): void {
  const { targetRef = {}, requiredAuthenticationRefs: required } = object.spec ?? {}
  reviewTarget(targetRef, context, findings)
  if (!Array.isArray(required)) {
    findings.refuse('spec.requiredAuthenticationRefs', 'it is missing; an empty list admits everybody')
    return
  }
  if (required.length === 0) {
    findings.warn('spec.requiredAuthenticationRefs', 'it is empty: everybody is admitted, from everywhere')
  }
  const seen = { clients: 0, networks: 0 }
  required.forEach((reference, place) => {
    const field = `spec.requiredAuthenticationRefs[${place}]`
    const kind = reviewRequired(field, reference, context, findings)
    if (kind !== undefined && ++seen[kind] > 1) {
      const what = kind === 'clients' ? 'MeshTLSAuthentication or ServiceAccount' : 'NetworkAuthentication'
      findings.refuse(field, `there is more than one ${what}`)
    }
  })
}

function reviewTarget(
  target: Reference,
  { cluster, policies, namespace }: ReviewContext,
  findings: Findings,
) {
  const name = target.name ?? ''
  if (target.namespace !== undefined && target.namespace !== namespace) {
    findings.refuse('spec.targetRef.namespace', 'a policy is for targets of its own namespace only')
  }
  const id = idOf(namespace, name)
  const missing = (what: string) => findings.warn('spec.targetRef', `there is no ${what} ${id}`)
  if (refersTo(target, policyGroup, 'Server')) {
    if (cluster.servers.get(id, once) === undefined) missing('Server')
  } else if (refersTo(target, '', 'Namespace')) {
    if (name !== namespace) findings.refuse('spec.targetRef.name', 'a policy is for its own namespace only')
  } else if (refersTo(target, policyGroup, 'HTTPRoute') || refersTo(target, gatewayGroup, 'HTTPRoute')) {
    const routeGroup = (target.group ?? '').toLowerCase()
    if (policies.httpRoutes.get(`${routeGroup}/${id}`, once) === undefined) missing('HTTPRoute')
  } else if (refersTo(target, gatewayGroup, 'GRPCRoute')) {
    if (policies.grpcRoutes.get(`${gatewayGroup}/${id}`, once) === undefined) missing('GRPCRoute')
  } else {
    const kind = `${target.kind} of "${target.group ?? ''}"`
    findings.refuse(
      'spec.targetRef',
      `${kind} cannot be a target; Server, HTTPRoute, GRPCRoute and Namespace can`,
    )
  }
}

/** What a reference asks for; undefined when it is to nothing that is known. */
function reviewRequired(
  field: string,
  reference: Reference,
  { policies, namespace }: ReviewContext,
  findings: Findings,
): 'clients' | 'networks' | undefined {
  const id = idOf(reference.namespace ?? namespace, reference.name ?? '')
  const dangling = 'until it is there, nobody is admitted by this policy'
  if (refersTo(reference, policyGroup, 'MeshTLSAuthentication')) {
    const isThere = policies.meshTlsAuthentications.get(id, once) !== undefined
    if (!isThere) findings.warn(field, `there is no MeshTLSAuthentication ${id}; ${dangling}`)
    return 'clients'
  }
  if (refersTo(reference, policyGroup, 'NetworkAuthentication')) {
    const isThere = policies.networkAuthentications.get(id, once) !== undefined
    if (!isThere) findings.warn(field, `there is no NetworkAuthentication ${id}; ${dangling}`)
    return 'networks'
  }
  if (refersTo(reference, '', 'ServiceAccount')) return 'clients'
  findings.refuse(field, `${reference.kind} of "${reference.group ?? ''}" is not an authentication`)
  return undefined
}

export function reviewMeshTlsAuthentication(object: MeshTlsAuthenticationObject, findings: Findings): void {
  const { identities, identityRefs } = object.spec ?? {}
  const hasIdentities = (identities ?? []).length > 0
  const hasReferences = (identityRefs ?? []).length > 0
  if (hasIdentities === hasReferences) {
    findings.refuse('spec', 'there must be either identities or identityRefs, and at least one of them')
  }
  reviewIdentities('spec.identities', identities ?? [], findings)
  identityRefs?.forEach((reference, place) => {
    const isKnown = refersTo(reference, '', 'ServiceAccount') || refersTo(reference, '', 'Namespace')
    const field = `spec.identityRefs[${place}]`
    if (!isKnown) findings.refuse(field, `${reference.kind} is not ServiceAccount or Namespace`)
    else if (!reference.name) findings.refuse(`${field}.name`, 'it is missing')
  })
}

const dnsName = /^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const spiffeId = /^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/

function reviewIdentities(field: string, identities: readonly string[], findings: Findings): void {
  identities.forEach((identity, place) => {
    if (identity === '*' || dnsName.test(identity) || spiffeId.test(identity)) return
    const message = `"${identity}" is not *, a DNS name, *. and a DNS name, or a SPIFFE ID`
    findings.refuse(`${field}[${place}]`, message)
  })
}

export function reviewNetworkAuthentication(object: NetworkAuthenticationObject, findings: Findings): void {
  const networks = object.spec?.networks ?? []
  if (networks.length === 0) findings.refuse('spec.networks', 'there must be at least one')
  reviewNetworks('spec.networks', networks, findings)
}

export function reviewServerAuthorization(object: ServerAuthorizationObject, findings: Findings): void {
  const { server = {}, client = {} } = object.spec ?? {}
  if ((server.name === undefined) === (server.selector === undefined)) {
    findings.refuse('spec.server', 'there must be either a name or a selector')
  }
  reviewNetworks('spec.client.networks', client.networks ?? [], findings)
  if (client.networks?.length === 0)
    findings.refuse('spec.client.networks', 'it is empty: nobody is admitted')
  const { meshTLS, unauthenticated } = client
  reviewIdentities('spec.client.meshTLS.identities', meshTLS?.identities ?? [], findings)
  const named = (meshTLS?.identities ?? []).length + (meshTLS?.serviceAccounts ?? []).length
  if (unauthenticated !== true && meshTLS?.unauthenticatedTLS !== true && named === 0) {
    findings.refuse(
      'spec.client',
      'it names nobody: unauthenticated, or meshTLS with identities or serviceAccounts',
    )
  }
  if (unauthenticated === true && meshTLS !== undefined) {
    findings.warn('spec.client.meshTLS', 'it says nothing beside unauthenticated: true')
  }
}
