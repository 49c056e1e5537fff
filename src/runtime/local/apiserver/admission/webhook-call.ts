import { request as httpRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { isObject, stringAt } from '../json.ts'
import { resolveService } from '../proxy/endpoints.ts'
import type { Store } from '../store.ts'
import type { Webhook } from './webhook-match.ts'

/** Opens a connection to an address of the pod network or of the node. */
export type Dial = (host: string, port: number) => Promise<Duplex>

/** What a webhook answers. */
export interface WebhookResponse {
  allowed: boolean
  /** JSON patch, RFC 6902. */
  patch: unknown[] | undefined
  message: string | undefined
  code: number | undefined
  reason: string | undefined
  warnings: string[]
}

const maxAnswerBytes = 4 * 1024 * 1024

interface Address {
  host: string
  port: number
  path: string
  serverName: string
}

function addressOf(store: Store, { url, service }: Webhook['clientConfig']): Address {
  if (service) {
    const { ip, port } = resolveService(store, service.namespace, service.name, service.port ?? 443)
    const path = service.path?.startsWith('/') ? service.path : `/${service.path ?? ''}`
    return { host: ip, port, path, serverName: `${service.name}.${service.namespace}.svc` }
  }
  const parsed = new URL(url ?? '')
  const path = `${parsed.pathname}${parsed.search}`
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  return { host, port: Number(parsed.port || 443), path, serverName: host }
}

/** Where a webhook is called, as messages name it. */
export function webhookUrl({ clientConfig, timeoutSeconds = 10 }: Webhook): string {
  const { url, service } = clientConfig
  const base = service
    ? `https://${service.name}.${service.namespace}.svc:${service.port ?? 443}${service.path ?? ''}`
    : (url ?? '')
  return `${base}?timeout=${timeoutSeconds}s`
}

function secured(socket: Duplex, serverName: string, caBundle: string | undefined): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const ca = caBundle ? { ca: Buffer.from(caBundle, 'base64').toString() } : {}
    const name = /^[\d.]+$|:/.test(serverName) ? { host: serverName } : { servername: serverName }
    const secure = tlsConnect({ socket, ...name, ...ca })
    secure.once('secureConnect', () => resolve(secure))
    secure.once('error', reject)
  })
}

function post(connection: Duplex, address: Address, body: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      host: address.serverName,
      connection: 'close',
      'content-length': Buffer.byteLength(body),
    }
    const createConnection = () => connection as never
    const outgoing = httpRequest({ createConnection, method: 'POST', path: address.path, headers, signal })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxAnswerBytes)
          response.destroy(new Error(`the answer is larger than ${maxAnswerBytes} bytes`))
        chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (response.statusCode === 200) resolve(text)
        else
          reject(new Error(`the server answered with status ${response.statusCode}: ${text.slice(0, 200)}`))
      })
    })
    outgoing.end(body)
  })
}

function parsePatch(response: Record<string, unknown>): unknown[] | undefined {
  if (response.patch === undefined || response.patch === null || response.patch === '') return undefined
  if (response.patchType !== 'JSONPatch')
    throw new Error(`patchType ${String(response.patchType)} is not JSONPatch`)
  const patch: unknown = JSON.parse(Buffer.from(String(response.patch), 'base64').toString())
  if (!Array.isArray(patch)) throw new Error('the patch is not an array')
  return patch
}

function parseAnswer(text: string, uid: string): WebhookResponse {
  const review: unknown = JSON.parse(text)
  const response = isObject(review) ? review.response : undefined
  if (!isObject(response)) throw new Error('the answer has no response')
  if (response.uid !== uid)
    throw new Error(`the uid of the answer (${String(response.uid)}) is not that of the request`)
  const { status } = response
  const code = isObject(status) ? status.code : undefined
  return {
    allowed: response.allowed === true,
    patch: parsePatch(response),
    message: stringAt(status, ['message']),
    reason: stringAt(status, ['reason']),
    code: typeof code === 'number' && code >= 400 ? code : undefined,
    warnings: Array.isArray(response.warnings) ? response.warnings.map(String) : [],
  }
}

/**
 * Sends an AdmissionReview to a webhook, over TLS that is verified with its `caBundle`, and reads the answer.
 * @param review with `request.uid`
 * @throws Error when it cannot be reached in time, or what it answers is no AdmissionReview
 */
export async function callWebhook(
  store: Store,
  dial: Dial,
  webhook: Webhook,
  review: { request: { uid: string } },
): Promise<WebhookResponse> {
  const signal = AbortSignal.timeout((webhook.timeoutSeconds ?? 10) * 1000)
  const timedOut = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('context deadline exceeded')), { once: true })
  })
  let connection: Duplex | undefined
  const exchange = async () => {
    const address = addressOf(store, webhook.clientConfig)
    connection = await dial(address.host, address.port)
    const secure = await secured(connection, address.serverName, webhook.clientConfig.caBundle)
    return parseAnswer(await post(secure, address, JSON.stringify(review), signal), review.request.uid)
  }
  try {
    return await Promise.race([exchange(), timedOut])
  } finally {
    connection?.destroy()
  }
}
