import { type IncomingMessage, type OutgoingHttpHeaders, request as requestHttp } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { type RequestOptions, request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { messageOf } from '../../shared/errors.ts'
import type { Container, HttpGetAction, Probe } from '../objects.ts'

/** What a probe found. */
export interface ProbeResult {
  isHealthy: boolean
  /** Why not. */
  message: string
}

/** Where and how a container is probed. */
export interface ProbeTarget {
  /** Address of the pod. */
  host: string
  container: Container
  /** Runs a command in the container. */
  exec(command: string[], signal: AbortSignal): Promise<{ exitCode: number; output: string }>
}

const healthy: ProbeResult = { isHealthy: true, message: '' }
const unhealthy = (message: string): ProbeResult => ({ isHealthy: false, message })

/** Checks once. Never rejects: what goes wrong is what the probe found. */
export async function checkProbe(probe: Probe, target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    if (probe.httpGet !== undefined) return await checkHttp(probe.httpGet, target, signal)
    if (probe.tcpSocket !== undefined) {
      const host = probe.tcpSocket.host || target.host
      return await checkTcp(host, portNumber(probe.tcpSocket.port, target.container), signal)
    }
    if (probe.grpc !== undefined) return await checkGrpc(probe.grpc, target.host, signal)
    if (probe.exec !== undefined) return await checkExec(probe.exec.command, target, signal)
    return healthy
  } catch (error) {
    if (signal.aborted) return unhealthy(`no answer within ${timeoutMs / 1000} s`)
    return unhealthy(messageOf(error))
  }
}

/** The number of a port that may be given by the name of a container port. */
export function portNumber(port: number | string, container: Container): number {
  if (typeof port === 'number') return port
  const named = container.ports?.find(({ name }) => name === port)?.containerPort
  const number = named ?? Number.parseInt(port, 10)
  if (Number.isNaN(number)) throw new Error(`container ${container.name} has no port named ${port}`)
  return number
}

async function checkHttp(
  action: HttpGetAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const status = await httpStatus(action, target, signal)
  return status >= 200 && status < 400 ? healthy : unhealthy(`HTTP probe failed with statuscode: ${status}`)
}

/** Sends the request of an action and answers with the status code. */
export function httpStatus(
  action: HttpGetAction,
  target: Pick<ProbeTarget, 'host' | 'container'>,
  signal: AbortSignal,
): Promise<number> {
  const headers: OutgoingHttpHeaders = { 'user-agent': 'kube-probe/1.32', accept: '*/*', connection: 'close' }
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value
  const path = action.path ?? '/'
  const options: RequestOptions = {
    host: action.host || target.host,
    port: portNumber(action.port, target.container),
    path: path.startsWith('/') ? path : `/${path}`,
    headers,
    signal,
  }
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }
    // A probe asks whether the server answers, not who it is.
    const request =
      action.scheme?.toUpperCase() === 'HTTPS'
        ? requestHttps({ ...options, rejectUnauthorized: false }, onResponse)
        : requestHttp(options, onResponse)
    request.on('error', reject)
    request.end()
  })
}

function checkTcp(host: string, port: number, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const onAbort = () => socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', reject)
    socket.on('connect', () => {
      socket.destroy()
      resolve(healthy)
    })
  })
}

async function checkExec(command: string[], target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const { exitCode, output } = await target.exec(command, signal)
  return exitCode === 0 ? healthy : unhealthy(output.trim() || `exit code ${exitCode}`)
}

/** The answer `status: SERVING` of the health checking protocol: field 1, value 1. */
const serving = Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01])

/** Asks by the gRPC health checking protocol, without TLS, as the kubelet does. */
function checkGrpc(
  grpc: { port: number; service?: string },
  host: string,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const service = Buffer.from(grpc.service ?? '')
  const message =
    service.length === 0 ? service : Buffer.concat([Buffer.from([0x0a, service.length]), service])
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message])
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://${host}:${grpc.port}`)
    session.on('error', reject)
    const stream = session.request(
      {
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
        [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        [constants.HTTP2_HEADER_TE]: 'trailers',
      },
      { signal },
    )
    const chunks: Buffer[] = []
    let status = ''
    stream.on('error', reject)
    stream.on('trailers', (trailers) => {
      status = String(trailers['grpc-status'])
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('close', () => {
      session.destroy()
      const isServing = Buffer.concat(chunks).equals(serving)
      resolve(isServing ? healthy : unhealthy(`service unhealthy (grpc-status ${status})`))
    })
    stream.end(frame)
  })
}
