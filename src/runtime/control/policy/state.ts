import { type Index, Table } from '../cluster/table.ts'
import type { MeshTlsAuthentication, NetworkAuthentication } from './authentication.ts'
import type { AuthorizationPolicy } from './authorization.ts'

/** The policy resources that were watched. */
export class PolicyState {
  readonly authorizationPolicies = new Table<AuthorizationPolicy>()
  readonly authorizationPoliciesByNamespace: Index<AuthorizationPolicy>
  readonly meshTlsAuthentications = new Table<MeshTlsAuthentication>()
  readonly networkAuthentications = new Table<NetworkAuthentication>()

  constructor() {
    this.authorizationPoliciesByNamespace = this.authorizationPolicies.index((policy) => [policy.namespace])
  }
}
