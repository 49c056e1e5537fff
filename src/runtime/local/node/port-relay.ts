import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Tools } from '../tools.ts'

/**
 * Runs inside the pod's network namespace. Each connection to its socket begins with a line that names a port; after
 * the answer `ok` it is a connection to this port on the pod's loopback interface.
 */
const relayProgram = `
const net = require('node:net')
const idleMs = 60000
let open = 0
let timer = setTimeout(() => process.exit(), idleMs)
net.createServer({ allowHalfOpen: true }, (client) => {
  clearTimeout(timer)
  open++
  client.once('close', () => { if (--open === 0) timer = setTimeout(() => process.exit(), idleMs) })
  client.on('error', () => client.destroy())
  client.once('data', (line) => {
    client.pause()
    const port = Number.parseInt(line.toString(), 10)
    const target = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    target.once('error', (error) => client.end('error ' + error.message + '\\n'))
    target.once('connect', () => {
      client.write('ok\\n')
      target.on('error', () => client.destroy())
      client.once('close', () => target.destroy())
      target.pipe(client)
      client.pipe(target)
    })
  })
}).listen(process.argv[1], () => process.stdout.write('ready'))
`

/** Opens connections inside a pod's network namespace, where this process cannot go. */
export class PortRelay {
  readonly #netnsPath: string
  readonly #socketPath: string
  readonly #tools: Tools
  #relay: { process: ChildProcess; ready: Promise<void> } | undefined

  constructor(netnsPath: string, socketPath: string, tools: Tools) {
    this.#netnsPath = netnsPath
    this.#socketPath = socketPath
    this.#tools = tools
  }

  /** @throws Error when nothing listens on the port */
  async connect(port: number): Promise<Duplex> {
    await this.#start()
    const socket = connect({ path: this.#socketPath, allowHalfOpen: true })
    socket.write(`${port}\n`)
    const answer = await firstLine(socket)
    if (answer === 'ok') return socket
    socket.destroy()
    throw new Error(answer.replace(/^error /, ''))
  }

  close(): void {
    this.#relay?.process.kill('SIGKILL')
  }

  #start(): Promise<void> {
    if (this.#relay?.process.exitCode === null) return this.#relay.ready
    // A relay that ended by itself leaves its socket behind.
    rmSync(this.#socketPath, { force: true })
    const args = [`--net=${this.#netnsPath}`, process.execPath, '-e', relayProgram, this.#socketPath]
    const relay = spawn(this.#tools.nsenter, args, { stdio: ['ignore', 'pipe', 'ignore'], env: {} })
    const ready = new Promise<void>((resolve, reject) => {
      relay.stdout.once('data', () => resolve())
      relay.once('error', reject)
      relay.once('exit', () => reject(new Error('the port relay of the pod has ended')))
    })
    this.#relay = { process: relay, ready }
    return ready
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer) => {
      const end = chunk.indexOf('\n')
      text += chunk.subarray(0, end === -1 ? chunk.length : end).toString()
      if (end === -1) return
      socket.off('data', onData)
      socket.pause()
      if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1))
      resolve(text)
    }
    socket.on('data', onData)
    socket.once('error', reject)
    socket.once('end', () => reject(new Error('connection refused')))
  })
}
