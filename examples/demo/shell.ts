import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inheritedEnv } from '../../src/runtime/shared/env.ts'

/** What a command line said, and how long it took. */
export interface Finished {
  stdout: string
  stderr: string
  durationMs: number
}

/** A command line that did not end well. */
export class CommandError extends Error {
  constructor(command: string, code: number | null, output: string) {
    super(`$ ${command}\nended with ${code === null ? 'a signal' : `exit code ${code}`}\n${output.trim()}`)
    this.name = 'CommandError'
  }
}

/** Runs command lines as a user would type them, `mesh` and `kubectl` among them. */
export interface Shell {
  /** The line as it is really run: `kubectl apply` becomes `mesh apply` on a machine without kubectl. */
  spell(command: string): string
  /**
   * Runs one line in bash; the first command of a pipeline that fails is what counts.
   * @throws {CommandError} when it does not exit with 0, or the signal aborts
   */
  run(command: string): Promise<Finished>
}

const entry = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

/** The command line that stands for `mesh` in a shell of the user's own. */
export const meshCommand = `${process.execPath} ${entry}`

/**
 * @param env added to the environment
 * @param signal ends what is running
 */
export function createShell(env: Record<string, string>, signal: AbortSignal): Shell {
  const hasKubectl = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' }).status === 0
  const spell = (command: string) =>
    hasKubectl ? command : command.replaceAll('kubectl apply', 'mesh apply')
  return { spell, run: (command) => run(spell(command), { ...inheritedEnv(), ...env }, signal) }
}

function run(command: string, env: Record<string, string>, signal: AbortSignal): Promise<Finished> {
  const script = `set -o pipefail; mesh() { "$MESH_DEMO_NODE" "$MESH_DEMO_ENTRY" "$@"; }; ${command}`
  const startedMs = performance.now()
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    const child = spawn('bash', ['-c', script], {
      cwd: root,
      env: { ...env, MESH_DEMO_NODE: process.execPath, MESH_DEMO_ENTRY: entry },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C is for the demo, which then ends this in its own time.
      detached: true,
    })
    const end = () => child.pid !== undefined && process.kill(-child.pid, 'SIGTERM')
    signal.addEventListener('abort', end, { once: true })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8')
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8')
    })
    child.on('error', reject)
    child.on('close', (code) => {
      signal.removeEventListener('abort', end)
      if (code === 0) resolve({ stdout, stderr, durationMs: performance.now() - startedMs })
      else reject(new CommandError(command, code, `${stdout}${stderr}`))
    })
  })
}
