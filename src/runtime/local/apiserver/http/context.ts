import type { Authorizer } from '../auth/rbac.ts'
import type { ServiceAccountTokens } from '../auth/tokens.ts'
import type { NodeHooks } from '../types.ts'
import type { ApiCore } from '../verbs/operation.ts'

/** What answering requests needs. */
export interface HandlerContext {
  core: ApiCore
  authorizer: Authorizer
  tokens: ServiceAccountTokens
  /** Minor version of Kubernetes that the server speaks. */
  minorVersion: number
  /** @throws KubeError 503 while no node agent is registered */
  hooks(): NodeHooks
}
