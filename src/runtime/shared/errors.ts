/** Who has to act on an error. It chooses the exit code and how the error is shown. */
export type ErrorKind =
  /** The input is wrong; the user can mend it. */
  | 'usage'
  /** The cluster, the network or the machine is not as it must be. */
  | 'environment'
  /** mesh itself is wrong. */
  | 'bug'

/** What a {@link MeshError} is made of. */
export interface MeshErrorOptions {
  /** Stable and documented in `docs/errors.md`: `MESH_` and upper-case words. */
  code: `MESH_${string}`
  kind: ErrorKind
  /** What happened, in one sentence without a full stop. */
  message: string
  /** Why it happened, if known. */
  reason?: string
  /** What to do next: sentences, or commands that can be pasted. */
  next?: string[]
  cause?: unknown
}

/** The one error family of mesh: it says what happened, why, and what to do next. */
export class MeshError extends Error {
  readonly code: `MESH_${string}`
  readonly kind: ErrorKind
  readonly reason: string | undefined
  readonly next: readonly string[]

  constructor(options: MeshErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MeshError'
    this.code = options.code
    this.kind = options.kind
    this.reason = options.reason
    this.next = options.next ?? []
  }

  /** Turns anything thrown into a {@link MeshError}; what is not one already is a bug of ours. */
  static from(thrown: unknown): MeshError {
    if (thrown instanceof MeshError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new MeshError({ code: 'MESH_BUG', kind: 'bug', message, cause: thrown })
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
