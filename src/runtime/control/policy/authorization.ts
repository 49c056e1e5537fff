import type { KubeObject } from '../../kube/types.ts'
import type { MeshConfig } from '../cluster/config.ts'
import type { IpNetwork } from '../cluster/ip.ts'
import type { Observer } from '../cluster/reactive.ts'
import { idOf, type Table } from '../cluster/table.ts'
import {
  type ClientNetwork,
  type Clients,
  clientsNamed,
  everyIdentity,
  identityOf,
  type MeshTlsAuthentication,
  meshTlsAuthenticationKind,
  type NetworkAuthentication,
  networkAuthenticationKind,
} from './authentication.ts'
import type { Meta } from './meta.ts'
import { policyGroup, type Reference, refersTo } from './reference.ts'

/** Admits clients that come from one of the networks and prove to be one of the clients. */
export interface Authorization {
  meta: Meta
  networks: readonly ClientNetwork[]
  clients: Clients
}

export interface AuthorizationPolicyObject extends KubeObject {
  spec?: { targetRef?: Reference; requiredAuthenticationRefs?: Reference[] }
}

/** An AuthorizationPolicy. */
export interface AuthorizationPolicy {
  namespace: string
  name: string
  target: Reference
  /** Undefined when the field is missing; an empty list asks for nothing. */
  required?: readonly Reference[]
}

export function readAuthorizationPolicy(object: AuthorizationPolicyObject): AuthorizationPolicy {
  const { metadata, spec = {} } = object
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    target: spec.targetRef ?? {},
    ...(Array.isArray(spec.requiredAuthenticationRefs) ? { required: spec.requiredAuthenticationRefs } : {}),
  }
}

/** Whether the policy is for this object of its own namespace, or for the whole namespace. */
export function targets(policy: AuthorizationPolicy, group: string, kind: string, name: string): boolean {
  const { target } = policy
  if (target.namespace !== undefined && target.namespace !== policy.namespace) return false
  return refersTo(target, group, kind) && target.name === name
}

export const everywhere: readonly ClientNetwork[] = [
  { network: { ip: { family: 4, bits: 0n }, prefixLength: 0 }, except: [] },
  { network: { ip: { family: 6, bits: 0n }, prefixLength: 0 }, except: [] },
]

/** What the references of policies are looked up in. */
export interface Authentications {
  meshTlsAuthentications: Pick<Table<MeshTlsAuthentication>, 'get'>
  networkAuthentications: Pick<Table<NetworkAuthentication>, 'get'>
}

/**
 * What a policy admits; undefined when it admits nobody, because something that it refers to is missing or wrong.
 * A reference that dangles must never widen access.
 */
export function resolvePolicy(
  policy: AuthorizationPolicy,
  state: Authentications,
  config: MeshConfig,
  observer: Observer,
): Authorization | undefined {
  let networks: readonly ClientNetwork[] | undefined
  let clients: Clients | undefined
  if (policy.required === undefined) return undefined
  for (const reference of policy.required) {
    const id = idOf(reference.namespace ?? policy.namespace, reference.name ?? '')
    if (refersTo(reference, networkAuthenticationKind.group, networkAuthenticationKind.kind)) {
      const found = state.networkAuthentications.get(id, observer)?.networks
      if (found === undefined || networks !== undefined) return undefined
      networks = found
    } else {
      const found = clientsOf(reference, policy.namespace, state, config, observer)
      if (found === undefined || clients !== undefined) return undefined
      clients = found
    }
  }
  const { namespace, name } = policy
  return {
    meta: { kind: 'resource', group: policyGroup, resourceKind: 'authorizationpolicy', namespace, name },
    networks: networks ?? everywhere,
    clients: clients ?? { kind: 'anyone' },
  }
}

function clientsOf(
  reference: Reference,
  namespace: string,
  state: Authentications,
  config: MeshConfig,
  observer: Observer,
): Clients | undefined {
  if (refersTo(reference, meshTlsAuthenticationKind.group, meshTlsAuthenticationKind.kind)) {
    const id = idOf(reference.namespace ?? namespace, reference.name ?? '')
    return state.meshTlsAuthentications.get(id, observer)?.clients
  }
  if (!refersTo(reference, '', 'ServiceAccount')) return undefined
  const identity = identityOf(reference, namespace, config)
  return identity === undefined ? undefined : clientsNamed([identity])
}

/** The modes that a default can have; see the annotation `config.linkerd.io/default-inbound-policy`. */
export const policyModes = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
] as const
export type PolicyMode = (typeof policyModes)[number]

/** A mode by its name; a name that is not known denies. */
export function policyMode(text: string): PolicyMode {
  return policyModes.find((mode) => mode === text) ?? 'deny'
}

/** The same mode, for clients with an identity only. */
export function authenticatedMode(mode: PolicyMode): PolicyMode {
  switch (mode) {
    case 'all-unauthenticated':
    case 'audit':
      return 'all-authenticated'
    case 'cluster-unauthenticated':
      return 'cluster-authenticated'
    case 'all-authenticated':
    case 'cluster-authenticated':
    case 'deny':
      return mode
  }
}

/** What a mode admits: at most one authorization. */
export function authorizationsOfMode(mode: PolicyMode, config: MeshConfig): Authorization[] {
  if (mode === 'deny') return []
  const isClusterOnly = mode === 'cluster-unauthenticated' || mode === 'cluster-authenticated'
  const isAuthenticated = mode === 'all-authenticated' || mode === 'cluster-authenticated'
  return [
    {
      meta: { kind: 'default', name: mode },
      networks: isClusterOnly ? config.clusterNetworks.map(wholeNetwork) : everywhere,
      clients: isAuthenticated ? everyIdentity : { kind: 'anyone' },
    },
  ]
}

export function wholeNetwork(network: IpNetwork): ClientNetwork {
  return { network, except: [] }
}
