import type { Authorization } from './authorization.ts'
import type { Meta } from './meta.ts'

/** What a request's path must be. */
export interface PathMatch {
  /** `prefix` goes by whole segments. */
  kind: 'exact' | 'prefix' | 'regex'
  value: string
}

/** Every part that is there must match. */
export interface HttpMatch {
  path?: PathMatch
  method?: string
}

/** A route of a port, with whom it admits. */
export interface InboundRoute {
  meta: Meta
  authorizations: readonly Authorization[]
  rules: readonly { matches: readonly HttpMatch[] }[]
}
