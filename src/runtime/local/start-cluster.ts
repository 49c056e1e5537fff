import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { EnvReader } from '../shared/env.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { builtinImages, type ImageTable, readImages, writeImages } from './images.ts'
import type { NodeTiming } from './node/parts.ts'
import { packageRoot, programPaths, type StatePaths } from './paths.ts'
import { isAlive, type ProcessRecord, readProcessRecord } from './process-record.ts'
import { removeState } from './stop-cluster.ts'
import { findTools, type Tools } from './tools.ts'

export interface StartOptions {
  name: string
  paths: StatePaths
  /** On 127.0.0.1; any free port when 0. */
  port: number
  /** Beside the built-in ones. */
  images: ImageTable
  waitMs: number
  env: EnvReader
  /** Instead of the kubelet's times. */
  timing?: Partial<NodeTiming>
}

const pollMs = 20

/** Whether the cluster was there already. */
export type StartOutcome = 'started' | 'running'

/** Namespaces of the daemon: nothing that it makes is seen outside of them. */
const namespaces = ['--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--mount-proc']
const asPlainUser = ['--user', '--map-root-user', '--map-auto']

/** Leaves a line about itself, then becomes the command: the line is there before anything else is. */
const recordAndExec = 'read -r line < /proc/$$/stat && echo "$line" > "$0" && exec "$@"'

/**
 * Starts a cluster and waits until it is ready. A cluster that runs only gets the images.
 * @throws MeshError MESH_LOCAL_NAMESPACES, MESH_LOCAL_PORT, MESH_LOCAL_START, MESH_LOCAL_TIMEOUT, MESH_LOCAL_TOOLS
 */
export async function startCluster(options: StartOptions): Promise<StartOutcome> {
  const tools = findTools(options.env('PATH'))
  const lock = await lockStart(options.paths, options.waitMs)
  try {
    return await startLocked(options, tools)
  } finally {
    lock.close()
  }
}

async function startLocked(options: StartOptions, tools: Tools): Promise<StartOutcome> {
  const { paths, env } = options
  const record = readProcessRecord(paths.pid)
  if (record !== undefined && isAlive(record)) return joinRunning(options, record)
  refuseHiddenFolder(paths.folder)
  removeState(paths)
  await checkNamespaces(tools)
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 })
  const builtin = builtinImages(programPaths(packageRoot(), env), process.execPath)
  writeImages(paths.images, { ...builtin, ...options.images })
  const server = await listen(options.port)
  try {
    await launch(options, tools, server)
  } finally {
    server.close()
  }
  return 'started'
}

/**
 * Lets one starter at a time go on. The lock is a socket without a file, so it goes with its process.
 * @throws MeshError MESH_LOCAL_TIMEOUT
 */
async function lockStart(paths: StatePaths, waitMs: number): Promise<Server> {
  const name = `\0mesh-local-${createHash('sha256').update(paths.folder).digest('hex')}`
  for (const deadlineMs = Date.now() + waitMs; ; ) {
    const lock = createServer()
    const isMine = await new Promise<boolean>((resolve) => {
      lock.once('error', () => resolve(false))
      lock.listen(name, () => resolve(true))
    })
    if (isMine) return lock
    if (Date.now() > deadlineMs) throw timeoutError(paths, waitMs)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

async function joinRunning(
  { paths, images, waitMs }: StartOptions,
  record: ProcessRecord,
): Promise<StartOutcome> {
  const deadlineMs = Date.now() + waitMs
  // Its starter may be gone while it is still starting.
  while (!existsSync(paths.status)) {
    if (!isAlive(record)) throw startError(paths, 'the cluster ended while it was starting')
    if (Date.now() > deadlineMs) throw timeoutError(paths, waitMs)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  if (Object.keys(images).length > 0) writeImages(paths.images, { ...readImages(paths.images), ...images })
  return 'running'
}

/** The daemon covers `/run`, so its own files cannot be there. */
function refuseHiddenFolder(folder: string): void {
  if (!folder.startsWith('/run/') && !folder.startsWith('/var/run/')) return
  throw new MeshError({
    code: 'MESH_LOCAL_FOLDER',
    kind: 'usage',
    message: `The local cluster cannot keep its state in ${folder}`,
    reason: 'Folders below /run are hidden from it',
    next: ['Set MESH_HOME to another folder, such as ~/.local/state/mesh'],
  })
}

// === Namespaces ===

function unshareArguments(): string[] {
  return process.getuid?.() === 0 ? namespaces : [...asPlainUser, ...namespaces]
}

/** Tries what the daemon needs, since the settings that forbid it differ between distributions. */
async function checkNamespaces(tools: Tools): Promise<void> {
  const child = spawn(tools.unshare, [...unshareArguments(), 'true'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const reason = await textOf(child.stderr as Readable)
  const code = await exitCodeOf(child)
  if (code === 0) return
  throw new MeshError({
    code: 'MESH_LOCAL_NAMESPACES',
    kind: 'environment',
    message: 'This machine does not let the local cluster make its namespaces',
    reason: reason.trim() || `unshare ended with ${code}`,
    next: namespaceAdvice(reason),
  })
}

/** What to do about an answer of unshare(1). */
export function namespaceAdvice(reason: string): string[] {
  if (process.getuid?.() === 0) return ['Run it outside of a container, or in one that is privileged']
  const { username } = userInfo()
  const asRoot = 'Or run the command as root'
  if (/newuidmap|newgidmap|subuid|subgid|uid_map|gid_map|uid map|gid map/.test(reason)) {
    return [
      'sudo apt-get install uidmap',
      `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
      asRoot,
    ]
  }
  if (/unrecognized option|unknown option/.test(reason)) {
    return ['Install util-linux 2.38 or later', asRoot]
  }
  return [
    'sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000',
    'On Ubuntu: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    asRoot,
  ]
}

// === Launch ===

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new MeshError({
          code: 'MESH_LOCAL_PORT',
          kind: 'usage',
          message: `The local cluster cannot listen on port ${port}`,
          reason: error.code === 'EADDRINUSE' ? 'Another program uses it' : error.message,
          next: ['Choose another one with --port, or leave --port out to get a free one'],
        }),
      )
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

async function launch(options: StartOptions, tools: Tools, server: Server): Promise<void> {
  const { paths, waitMs } = options
  const log = openSync(paths.log, 'a', 0o600)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const { name, timing = {} } = options
  const settings = { name, paths, listenFd: 3, readyFd: 4, port, timing }
  const command = [tools.unshare, ...unshareArguments(), ...daemonCommand(), JSON.stringify(settings)]
  const child = spawn(tools.sh, ['-c', recordAndExec, paths.pid, ...command], {
    stdio: ['ignore', log, log, descriptorOf(server), 'pipe'],
    detached: true,
    cwd: '/',
    env: { PATH: options.env('PATH') ?? '' },
  })
  closeSync(log)
  const ready = child.stdio[4] as Readable
  const answer = await Promise.race([firstLineOf(ready), afterMs(waitMs)])
  ready.destroy()
  child.unref()
  if (answer === 'ready') return
  if (answer === undefined) throw timeoutError(paths, waitMs)
  throw startError(paths, answer)
}

/** The bundle when this code is bundled, else the source through tsx. */
function daemonCommand(): string[] {
  const here = fileURLToPath(import.meta.url)
  if (!here.endsWith('.ts')) return [process.execPath, join(packageRoot(), 'dist', 'local.js')]
  const source = fileURLToPath(new URL('daemon.ts', import.meta.url))
  return [process.execPath, '--import', import.meta.resolve('tsx'), source]
}

/** Node lends a listening socket to a child only by its number. */
function descriptorOf(server: Server): number {
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  return fd
}

function firstLineOf(readable: Readable): Promise<string> {
  return textOf(readable, '\n').then((text) => text.split('\n', 1)[0] ?? '')
}

function textOf(readable: Readable, until?: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    readable.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (until !== undefined && text.includes(until)) resolve(text)
    })
    readable.on('close', () => resolve(text))
    readable.on('error', () => resolve(text))
  })
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
}

function afterMs(durationMs: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), durationMs).unref())
}

function timeoutError(paths: StatePaths, waitMs: number): MeshError {
  return new MeshError({
    code: 'MESH_LOCAL_TIMEOUT',
    kind: 'environment',
    message: `The local cluster was not ready within ${waitMs / 1000} s`,
    next: [
      `Its log: ${paths.log}`,
      'Wait longer with --wait, or start anew: mesh local stop && mesh local start',
    ],
  })
}

function startError(paths: StatePaths, answer: string): MeshError {
  return new MeshError({
    code: 'MESH_LOCAL_START',
    kind: 'environment',
    message: 'The local cluster did not start',
    reason: reasonOf(answer) ?? lastLogLine(paths.log),
    next: [`Its log: ${paths.log}`],
  })
}

function reasonOf(answer: string): string | undefined {
  try {
    return (JSON.parse(answer) as { message?: string }).message
  } catch {
    return answer === '' ? undefined : answer
  }
}

function lastLogLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? ''
  } catch (error) {
    return messageOf(error)
  }
}
