import type { KubeObject } from '../../kube/types.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { identityName } from '../cluster/identity.ts'
import { type IpNetwork, networkContains, parseIpNetwork } from '../cluster/ip.ts'
import { policyGroup, type Reference, refersTo } from './reference.ts'

/** Client addresses: those of the network but for the exceptions. */
export interface ClientNetwork {
  network: IpNetwork
  except: readonly IpNetwork[]
}

/** Who a client must prove to be. */
export type Clients =
  | { kind: 'anyone' }
  /** TLS of the mesh, with or without an identity. */
  | { kind: 'any-tls' }
  /** `suffixes` are labels from left to right; without a label, everyone who has an identity. */
  | { kind: 'identities'; names: readonly string[]; suffixes: readonly (readonly string[])[] }

export const everyIdentity: Clients = { kind: 'identities', names: [], suffixes: [[]] }

export interface NetworkAuthenticationObject extends KubeObject {
  spec?: { networks?: { cidr?: string; except?: string[] }[] }
}

/** A NetworkAuthentication. */
export interface NetworkAuthentication {
  /** Undefined when an entry cannot be read: then nobody is admitted by it. */
  networks?: readonly ClientNetwork[]
}

export function readNetworkAuthentication(object: NetworkAuthenticationObject): NetworkAuthentication {
  const networks = readNetworks(object.spec?.networks)
  return networks === undefined ? {} : { networks }
}

/** Undefined when there is none, or one of them, or of their exceptions, cannot be read. */
export function readNetworks(
  entries: readonly { cidr?: string; except?: string[] }[] | undefined,
): ClientNetwork[] | undefined {
  if (!Array.isArray(entries) || entries.length === 0) return undefined
  const networks = (entries as { cidr?: string; except?: string[] }[]).map(({ cidr, except }) => {
    const network = parseIpNetwork(cidr ?? '')
    const exceptions = (except ?? []).map((each) => parseIpNetwork(each))
    if (network === undefined || exceptions.some((each) => each === undefined)) return undefined
    return { network, except: exceptions.filter((each) => each !== undefined) }
  })
  return networks.some((each) => each === undefined)
    ? undefined
    : networks.filter((each) => each !== undefined)
}

export interface MeshTlsAuthenticationObject extends KubeObject {
  spec?: { identities?: string[]; identityRefs?: Reference[] }
}

/** A MeshTLSAuthentication. */
export interface MeshTlsAuthentication {
  /** Undefined when it names nobody, or somebody that cannot be read. */
  clients?: Clients
}

export function readMeshTlsAuthentication(
  object: MeshTlsAuthenticationObject,
  config: MeshConfig,
): MeshTlsAuthentication {
  const { identities = [], identityRefs = [] } = object.spec ?? {}
  const namespace = object.metadata.namespace ?? ''
  const referred = identityRefs.map((reference) => identityOf(reference, namespace, config))
  if (referred.some((each) => each === undefined)) return {}
  const clients = clientsNamed([...identities, ...referred.filter((each) => each !== undefined)])
  return clients === undefined ? {} : { clients }
}

/** The identity, or the pattern of identities, of a ServiceAccount or of all of a Namespace. */
export function identityOf(
  reference: Reference,
  defaultNamespace: string,
  config: MeshConfig,
): string | undefined {
  const { name } = reference
  if (name === undefined || name === '') return undefined
  if (refersTo(reference, '', 'ServiceAccount')) {
    return identityName(name, reference.namespace ?? defaultNamespace, config)
  }
  return refersTo(reference, '', 'Namespace') ? identityName('*', name, config) : undefined
}

/** Reads identities: `*` is everyone, `*.suffix` all below it. Undefined when there is none or one is not a name. */
export function clientsNamed(identities: readonly string[]): Clients | undefined {
  const names: string[] = []
  const suffixes: string[][] = []
  for (const identity of identities) {
    if (identity === '*') suffixes.push([])
    else if (identity.startsWith('*.')) suffixes.push(identity.slice(2).split('.'))
    else if (identity === '' || identity.includes('*')) return undefined
    else names.push(identity)
  }
  return identities.length === 0 ? undefined : { kind: 'identities', names, suffixes }
}

/** Whether every exception lies within its network; admission asks. */
export function exceptionsAreInside({ network, except }: ClientNetwork): boolean {
  return except.every(
    (each) => each.prefixLength >= network.prefixLength && networkContains(network, each.ip),
  )
}

export const meshTlsAuthenticationKind = { group: policyGroup, kind: 'MeshTLSAuthentication' } as const
export const networkAuthenticationKind = { group: policyGroup, kind: 'NetworkAuthentication' } as const
