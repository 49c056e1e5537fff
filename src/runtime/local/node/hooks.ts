import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { KubeError } from '../../kube/types.ts'
import type { NodeHooks, PodExecOptions } from '../apiserver/types.ts'
import type { ContainerRunner } from './container.ts'
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

function execute(runner: ContainerRunner, options: PodExecOptions): Promise<number> {
  // script(1) gives the program a terminal of its own.
  const quoted = options.command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const command = options.tty ? ['script', '-qec', quoted, '/dev/null'] : options.command
  const [program = '', ...args] = runner.execLine(command) ?? []
  if (program === '') {
    throw new KubeError(400, 'BadRequest', `container ${runner.container.name} does not run`)
  }
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {}, detached: true })
    const onAbort = () => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }
    options.signal.addEventListener('abort', onAbort, { once: true })
    child.stdin.on('error', () => undefined)
    if (options.stdin === undefined) child.stdin.end()
    else options.stdin.pipe(child.stdin)
    if (options.stdout !== undefined) child.stdout.pipe(options.stdout, { end: false })
    else child.stdout.resume()
    if (options.stderr !== undefined) child.stderr.pipe(options.stderr, { end: false })
    else child.stderr.resume()
    child.on('error', reject)
    child.on('close', (code) => {
      options.signal.removeEventListener('abort', onAbort)
      resolve(code ?? 137)
    })
  })
}
