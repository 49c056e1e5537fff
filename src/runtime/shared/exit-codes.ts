import type { ErrorKind } from './errors.ts'

/** The process exit codes of `mesh`. They are a stable interface; see `CONTRIBUTING.md`. */
export const exitCodes = {
  ok: 0,
  /** A check failed, or the cluster or machine is not as it must be. */
  failed: 1,
  /** The command line, a file or a value is wrong. */
  usage: 2,
  /** A defect of mesh. */
  bug: 70,
} as const

/** The exit code of each kind of error. */
export function exitCodeOf(kind: ErrorKind): number {
  switch (kind) {
    case 'usage':
      return exitCodes.usage
    case 'environment':
      return exitCodes.failed
    case 'bug':
      return exitCodes.bug
  }
}
