import type { Authorization } from './authorization.ts'
import type { Meta } from './meta.ts'
import type { HttpMatch } from './route/match.ts'

/** A route of a port, with whom it admits. */
export interface InboundRoute {
  meta: Meta
  authorizations: readonly Authorization[]
  rules: readonly { matches: readonly HttpMatch[] }[]
}
