import type { Claim } from '../claims.ts'
import type { World } from '../world.ts'

/** One thing that the demo shows: a command and what it printed, and what is claimed of it. */
export interface Proof {
  heading: string
  /** What must have come about before. */
  prepare?: (world: World) => Promise<void>
  /** Typed first, its output shown. */
  command?: string
  claims: (world: World) => Claim[]
}
