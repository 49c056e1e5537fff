import { MeshError, messageOf } from '../shared/errors.ts'
import { nearest } from '../shared/nearest.ts'
import { paint, printable, renderJson } from './output.ts'

/** What oclif's parser throws, told apart by its fields; the classes are not exported. */
interface ParserError extends Error {
  parse?: unknown
  flags?: unknown
  args?: unknown
  oclif?: unknown
}

/** What `src/runtime/kube` throws for an error of the API server; known by its name, to keep the layers apart. */
interface KubeErrorShape extends Error {
  status: number
  reason: string
}

/**
 * Anything thrown as the one kind of error that is shown.
 * @param context.flagNames what flags the command has, for a near miss
 * @param context.command as typed, such as `mesh viz stat`
 */
export function toMeshError(
  thrown: unknown,
  context: { command: string; flagNames: readonly string[] },
): MeshError {
  if (thrown instanceof MeshError) return thrown
  if (!(thrown instanceof Error)) return MeshError.from(thrown)
  if (thrown.name === 'KubeError') return fromKubeError(thrown as KubeErrorShape)
  const parser = thrown as ParserError
  if (parser.parse !== undefined || parser.oclif !== undefined) return fromParser(parser, context)
  return MeshError.from(thrown)
}

function fromKubeError(error: KubeErrorShape): MeshError {
  const base = { kind: 'environment', message: `the cluster refused the request: ${error.message}` } as const
  if (error.status === 401) {
    return new MeshError({
      ...base,
      code: 'MESH_KUBE_UNAUTHORIZED',
      reason: 'the credentials of the current context are not valid, or have expired',
      next: ['Sign in again, then check with: kubectl auth whoami'],
      cause: error,
    })
  }
  if (error.status === 403) {
    return new MeshError({
      ...base,
      code: 'MESH_KUBE_FORBIDDEN',
      reason: 'the current user does not have the right to do this',
      next: ['Ask for the right, or use another user with --context or --as.'],
      cause: error,
    })
  }
  return new MeshError({ ...base, code: 'MESH_KUBE_REQUEST', reason: error.reason, cause: error })
}

function fromParser(
  error: ParserError,
  context: { command: string; flagNames: readonly string[] },
): MeshError {
  const message = error.message.replace(/\n?See more help with --help/, '').trim()
  const help = `See: ${context.command} --help`
  const base = { kind: 'usage', cause: error } as const
  const kind = error.constructor.name
  if (kind === 'NonExistentFlagsError' && Array.isArray(error.flags)) {
    const names = error.flags.map(String)
    const suggestion = names.map((name) => nearest(name.replace(/^-+/, ''), context.flagNames)).find(Boolean)
    return new MeshError({
      ...base,
      code: 'MESH_USAGE_UNKNOWN_FLAG',
      message: `unknown flag ${names.map((name) => name.split('=')[0]).join(', ')}`,
      next: suggestion === undefined ? [help] : [`Did you mean --${suggestion}?`, help],
    })
  }
  if (kind === 'UnexpectedArgsError' && Array.isArray(error.args)) {
    const names = error.args.map((argument) => JSON.stringify(argument)).join(', ')
    return new MeshError({
      ...base,
      code: 'MESH_USAGE_UNEXPECTED_ARGUMENT',
      message: `unexpected argument ${names}`,
      next: [help],
    })
  }
  if (kind === 'RequiredArgsError') {
    return new MeshError({
      ...base,
      code: 'MESH_USAGE_MISSING_ARGUMENT',
      message: message.split('\n')[0] ?? message,
      next: [help],
    })
  }
  if (kind === 'FailedFlagValidationError') {
    // One line for each flag of the pair; the first says it all.
    const [, line = ''] = message.split('\n')
    const missing = /^Missing required flag (\S+)/.exec(line.trim())
    return new MeshError({
      ...base,
      code: missing === null ? 'MESH_USAGE_FLAGS' : 'MESH_USAGE_MISSING_ARGUMENT',
      message: missing === null ? line.trim().replace(/=true\b/g, '') : `--${missing[1]} must be given`,
      next: [help],
    })
  }
  return new MeshError({ ...base, code: 'MESH_USAGE', message: message.replace(/\s+/g, ' '), next: [help] })
}

/** An error as text for a person: what happened, why, what to do next, and the code. */
export function renderError(error: MeshError, options: { colour: boolean; stack?: boolean }): string {
  const lines = [
    `${paint('error', 'red', options.colour)}: ${printable(error.message)} ${paint(`[${error.code}]`, 'dim', options.colour)}`,
  ]
  if (error.reason !== undefined) lines.push(`  why:  ${printable(error.reason)}`)
  const steps =
    error.kind === 'bug' ? ['This is a defect of mesh; please report it with --verbose output.'] : []
  for (const step of [...error.next, ...steps]) lines.push(`  next: ${printable(step)}`)
  if (options.stack === true) lines.push(printable(stackOf(error)))
  return `${lines.join('\n')}\n`
}

function stackOf(error: MeshError): string {
  const inner = error.cause instanceof Error ? error.cause : error
  const cause = inner.cause === undefined ? '' : `\ncaused by: ${messageOf(inner.cause)}`
  return `${inner.stack ?? inner.message}${cause}`
}

/** An error as JSON, for commands that were asked for JSON. */
export function renderErrorJson(error: MeshError): string {
  return renderJson({
    error: {
      code: error.code,
      kind: error.kind,
      message: error.message,
      reason: error.reason,
      next: error.next,
    },
  })
}
