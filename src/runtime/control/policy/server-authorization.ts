import type { KubeObject } from '../../kube/types.ts'
import type { MeshConfig } from '../cluster/config.ts'
import { identityName } from '../cluster/identity.ts'
import { type LabelSelector, selectorMatches } from '../cluster/selector.ts'
import type { Server } from '../cluster/server.ts'
import { type ClientNetwork, type Clients, clientsNamed, readNetworks } from './authentication.ts'
import { type Authorization, wholeNetwork } from './authorization.ts'
import { policyGroup } from './reference.ts'

export interface ServerAuthorizationObject extends KubeObject {
  spec?: {
    server?: { name?: string; selector?: LabelSelector }
    client?: {
      networks?: { cidr?: string; except?: string[] }[]
      unauthenticated?: boolean
      meshTLS?: {
        unauthenticatedTLS?: boolean
        identities?: string[]
        serviceAccounts?: { name: string; namespace?: string }[]
      }
    }
  }
}

/** A ServerAuthorization: the older way to admit clients. */
export interface ServerAuthorization {
  namespace: string
  name: string
  server: { name?: string; selector?: LabelSelector }
  /** Undefined when what it says cannot be read: then nobody is admitted by it. */
  authorization?: Authorization
}

/** Reads a ServerAuthorization. Without networks it means the cluster's, unlike an AuthorizationPolicy. */
export function readServerAuthorization(
  object: ServerAuthorizationObject,
  config: MeshConfig,
): ServerAuthorization {
  const { metadata, spec = {} } = object
  const namespace = metadata.namespace ?? ''
  const { name } = metadata
  const networks = networksOf(spec.client?.networks, config)
  const clients = clientsOf(spec.client ?? {}, namespace, config)
  const server = { namespace, name, server: spec.server ?? {} }
  if (networks === undefined || clients === undefined) return server
  const meta = {
    kind: 'resource',
    group: policyGroup,
    resourceKind: 'serverauthorization',
    namespace,
    name,
  } as const
  return { ...server, authorization: { meta, networks, clients } }
}

function networksOf(
  entries: { cidr?: string; except?: string[] }[] | undefined,
  config: MeshConfig,
): readonly ClientNetwork[] | undefined {
  return entries === undefined ? config.clusterNetworks.map(wholeNetwork) : readNetworks(entries)
}

function clientsOf(
  { unauthenticated, meshTLS }: NonNullable<NonNullable<ServerAuthorizationObject['spec']>['client']>,
  namespace: string,
  config: MeshConfig,
): Clients | undefined {
  if (unauthenticated === true) return { kind: 'anyone' }
  if (meshTLS?.unauthenticatedTLS === true) return { kind: 'any-tls' }
  const accounts = (meshTLS?.serviceAccounts ?? []).map((account) =>
    identityName(account.name, account.namespace ?? namespace, config),
  )
  return clientsNamed([...(meshTLS?.identities ?? []), ...accounts])
}

/** Whether it is for this Server of its namespace. A reference that names nothing is for none. */
export function authorizesServer({ server }: ServerAuthorization, target: Server): boolean {
  if (server.name !== undefined) return server.name === target.name
  return server.selector !== undefined && selectorMatches(server.selector, target.labels)
}
