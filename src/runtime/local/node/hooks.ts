import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { KubeError } from '../../kube/types.ts'
import type { NodeHooks, PodExecOptions } from '../apiserver/types.ts'
import type { ContainerRunner } from './container.ts'
import { killInside } from './container-process.ts'
import type { PodRunner } from './pod.ts'
import { PortRelay } from './port-relay.ts'

/** Finds a pod that runs on this node. */
export type FindPod = (namespace: string, name: string) => PodRunner | undefined

/** What the API server asks of the node. */
export function nodeHooks(findPod: FindPod): NodeHooks {
  const pod = (namespace: string, name: string): PodRunner => {
    const runner = findPod(namespace, name)
    if (runner !== undefined) return runner
    throw new KubeError(404, 'NotFound', `pod "${name}" does not run on the node`)
  }
  const container = (namespace: string, name: string, containerName: string): ContainerRunner => {
    const runner = pod(namespace, name).container(containerName)
    if (runner !== undefined) return runner
    throw new KubeError(400, 'BadRequest', `container ${containerName} is not valid for pod ${name}`)
  }
  return {
    podLogs: (namespace, name, containerName, options) => {
      const log = container(namespace, name, containerName).log(options.previous)
      if (log !== undefined) return log.read(options)
      const what = options.previous ? `previous terminated container "${containerName}"` : 'container'
      const why = options.previous ? 'not found' : `"${containerName}" is waiting to start`
      throw new KubeError(400, 'BadRequest', `${what} in pod "${name}" ${why}`)
    },
    podExec: (namespace, name, containerName, options) =>
      execute(container(namespace, name, containerName), options),
    podPortForward: (namespace, name, port) => {
      const { context } = pod(namespace, name)
      if (context.link === undefined) return dial('127.0.0.1', port)
      const socketPath = join(context.folder, 'ports')
      context.relay ??= new PortRelay(context.link.netnsPath, socketPath, context.parts.tools)
      return context.relay.connect(port)
    },
    dialPod: dial,
  }
}

function dial(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: 10_000 })
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error(`${host}:${port} does not answer`)))
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.setTimeout(0)
      resolve(socket)
    })
  })
}

/** A client that has a terminal tells its size at once. */
const sizeWaitMs = 100

async function execute(runner: ContainerRunner, options: PodExecOptions): Promise<number> {
  const command = options.tty ? onTerminal(options.command, await firstSize(options)) : options.command
  const [program, ...args] = runner.execLine(command) ?? []
  if (program === undefined) {
    throw new KubeError(400, 'BadRequest', `container ${runner.container.name} does not run`)
  }
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {} })
    const onAbort = () => killInside(child)
    options.signal.addEventListener('abort', onAbort, { once: true })
    connectStreams(child, options)
    child.on('error', reject)
    child.on('close', (code) => {
      options.signal.removeEventListener('abort', onAbort)
      resolve(code ?? 137)
    })
  })
}

function connectStreams(
  child: ChildProcessWithoutNullStreams,
  { stdin, stdout, stderr }: PodExecOptions,
): void {
  child.stdin.on('error', () => undefined)
  if (stdin === undefined) child.stdin.end()
  else stdin.pipe(child.stdin)
  if (stdout === undefined) child.stdout.resume()
  else child.stdout.pipe(stdout, { end: false })
  if (stderr === undefined) child.stderr.resume()
  else child.stderr.pipe(stderr, { end: false })
}

interface TerminalSize {
  columns: number
  rows: number
}

function firstSize(options: PodExecOptions): Promise<TerminalSize | undefined> {
  return new Promise((resolve) => {
    options.onResize(resolve)
    setTimeout(() => resolve(undefined), sizeWaitMs)
  })
}

/** script(1) gives the command a terminal of its own. It keeps the size that it has at the start. */
function onTerminal(command: string[], size: TerminalSize | undefined): string[] {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const resize = size === undefined ? '' : `stty rows ${size.rows} cols ${size.columns}; `
  return ['script', '-qec', `${resize}exec ${quoted}`, '/dev/null']
}
