import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { childOf } from '../process-record.ts'
import type { Tools } from '../tools.ts'
import { type ProcessRights, setprivArguments } from './security.ts'

/** What to run, and where. */
export interface LaunchPlan {
  /** Path of the pod's network namespace; the node's own when absent. */
  netnsPath: string | undefined
  hostname: string
  /** Folder that becomes the root. */
  root: string
  /** File with the mount table, see `container-root.ts`. */
  mountTable: string
  workingDir: string
  rights: ProcessRights
  env: ReadonlyMap<string, string>
  argv: string[]
}

/** How a process ended. */
export interface ProcessExit {
  /** 128 + signal when a signal ended it. */
  exitCode: number
}

/** The container could not be set up; no program of it ran. */
export class LaunchError extends Error {}

/**
 * Sets up the container from inside its new namespaces, then becomes its program. Errors go to descriptor 3, and so
 * does the word that all went well.
 */
const launchScript = `
exec 4>&2 2>&3
set -e
hostname=$1 table=$2 root=$3 readonly=$4 folder=$5
shift 5
"$HOSTNAME_TOOL" "$hostname"
"$MOUNT" -a -T "$table"
cd "$root"
"$PIVOT_ROOT" . .
"$UMOUNT" -l .
cd /
[ "$readonly" = no ] || "$MOUNT" -o remount,bind,ro /
cd "$folder"
echo ready >&3
exec "$@" 2>&4 3>&- 4>&-
`

/** The last word of the script before the program takes over. */
const readyWord = 'ready\n'

/** A container that runs: the first process of its PID namespace. */
export class ContainerProcess {
  /** Process id of the container's first process, as the node sees it. */
  readonly pid: number
  readonly exited: Promise<ProcessExit>
  readonly #outer: ChildProcess

  private constructor(outer: ChildProcess, pid: number, exited: Promise<ProcessExit>) {
    this.#outer = outer
    this.pid = pid
    this.exited = exited
  }

  /**
   * Starts a container.
   * @param attach is given standard output and error before anything is written to them
   * @throws LaunchError
   */
  static async launch(
    plan: LaunchPlan,
    tools: Tools,
    attach: (stdout: Readable, stderr: Readable) => void,
  ): Promise<ContainerProcess> {
    const [program, ...args] = commandLine(plan, tools)
    const { mount: MOUNT, pivot_root: PIVOT_ROOT, umount: UMOUNT, hostname: HOSTNAME_TOOL } = tools
    const env = { MOUNT, PIVOT_ROOT, UMOUNT, HOSTNAME_TOOL }
    const stdio = ['ignore', 'pipe', 'pipe', 'pipe'] as const
    const outer = spawn(program ?? '', args, { stdio: [...stdio], env, cwd: '/', detached: true })
    attach(outer.stdio[1] as Readable, outer.stdio[2] as Readable)
    const exited = exitOf(outer)
    const report = await readReport(outer.stdio[3] as Readable)
    if (report === readyWord && outer.pid !== undefined) {
      // A short program may be over before its process id can be read.
      return new ContainerProcess(outer, childOf(outer.pid) ?? 0, exited)
    }
    const { exitCode } = await exited
    throw new LaunchError(report.trim() || `the container could not be started (${exitCode})`)
  }

  /** Sends a signal to the container's first process; SIGKILL ends all of its processes. */
  kill(signal: NodeJS.Signals): void {
    if (this.#outer.exitCode !== null || this.#outer.signalCode !== null || this.pid === 0) return
    try {
      process.kill(this.pid, signal)
    } catch {
      // It ended meanwhile.
    }
  }
}

function commandLine(plan: LaunchPlan, tools: Tools): string[] {
  const { netnsPath, rights } = plan
  const enter = netnsPath === undefined ? [] : [tools.nsenter, `--net=${netnsPath}`]
  const namespaces = ['--mount', '--uts', '--pid', '--fork', '--kill-child']
  const readOnly = rights.isRootReadOnly ? 'yes' : 'no'
  return [
    ...enter,
    tools.unshare,
    ...namespaces,
    ...[tools.sh, '-c', launchScript, 'sh'],
    ...[plan.hostname, plan.mountTable, plan.root, readOnly, plan.workingDir],
    ...programLine(plan, tools),
  ]
}

/** The program with its user and environment. */
function programLine(
  { rights, env, argv }: Pick<LaunchPlan, 'rights' | 'env' | 'argv'>,
  tools: Tools,
): string[] {
  const variables = [...env].map(([name, value]) => `${name}=${value}`)
  return [tools.setpriv, ...setprivArguments(rights), tools.env, '-i', ...variables, ...argv]
}

/** A command line that runs another program in a container that runs. */
export function execLine(
  process: ContainerProcess,
  plan: Pick<LaunchPlan, 'rights' | 'env' | 'workingDir'>,
  argv: string[],
  tools: Tools,
): string[] {
  const namespaces = ['--mount', '--uts', '--net', '--pid']
  const inFolder = [tools.sh, '-c', 'cd "$1" && shift && exec "$@"', 'sh', plan.workingDir]
  const program = programLine({ ...plan, argv }, tools)
  return [tools.nsenter, `--target=${process.pid}`, ...namespaces, ...inFolder, ...program]
}

/**
 * Kills what a command line of {@link execLine} runs. Its own process, nsenter(1), ends with it: were that killed
 * first, nobody would collect the other, since the daemon is process 1 and collects only what it started itself.
 */
export function killInside({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(childOf(pid) ?? pid, 'SIGKILL')
  } catch {
    // It ended meanwhile.
  }
}

function exitOf(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.on('error', () => resolve({ exitCode: 128 }))
    child.on('close', (code, signal) => resolve({ exitCode: code ?? 128 + signalNumber(signal) }))
  })
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return (signal && signalNumbers[signal]) ?? 9
}

/** What the script says: the word that it is done, or why it ended. */
function readReport(readable: Readable): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    readable.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (text === readyWord) readable.destroy()
    })
    readable.on('close', () => resolve(text))
    readable.on('error', () => resolve(text))
  })
}
