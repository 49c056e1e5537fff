import type { Duplex } from 'node:stream'
import { messageOf } from '../../../shared/errors.ts'
import { statusOf } from '../status.ts'

/** Size of a terminal. */
export interface TerminalSize {
  columns: number
  rows: number
}

/** The streams between a client and a command, whatever carries them. */
export interface ExecStreams {
  stdin: Duplex | undefined
  stdout: Duplex | undefined
  stderr: Duplex | undefined
  onResize: (listener: (size: TerminalSize) => void) => void
  /** Tells the client how it ended, then ends everything. */
  finish: (status: Record<string, unknown>) => Promise<void>
  signal: AbortSignal
}

/** Which streams a client asks for in the query of its request. */
export interface ExecRequest {
  command: string[]
  container: string | null
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
}

function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value === 'true' || value === '1'
}

export function execRequestOf(query: URLSearchParams): ExecRequest {
  const tty = isSet(query, 'tty')
  return {
    command: query.getAll('command'),
    container: query.get('container'),
    stdin: isSet(query, 'stdin'),
    stdout: isSet(query, 'stdout'),
    // A terminal has one output.
    stderr: isSet(query, 'stderr') && !tty,
    tty,
  }
}

/** The Status that tells an exit code, as clients of version 4 and later of the protocol read it. */
export function exitStatus(code: number): Record<string, unknown> {
  if (code === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  }
}

/** Runs a command between the streams and tells the client its exit code. Never rejects. */
export async function runExec(
  streams: ExecStreams,
  execute: (streams: ExecStreams) => Promise<number>,
): Promise<void> {
  try {
    const code = await execute(streams)
    await streams.finish(exitStatus(code))
  } catch (error) {
    await streams.finish({ ...statusOf(error), message: messageOf(error) })
  }
}
