import type { IncomingMessage, ServerResponse } from 'node:http'
import { impersonate } from '../auth/impersonate.ts'
import type { User } from '../objects.ts'
import { StatusError } from '../status.ts'
import type { HandlerContext } from './context.ts'
import { dispatch } from './dispatch.ts'
import { type ApiRequest, type ApiResponse, errorResponse } from './message.ts'

const maxBodyBytes = 3 * 1024 * 1024

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBodyBytes) {
      const message = `the request is larger than ${maxBodyBytes} bytes`
      throw new StatusError(413, 'RequestEntityTooLarge', message)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The headers as single strings. */
export function headersOf(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]),
  )
}

/** Path and query of a request line. */
export function splitUrl(url: string | undefined): { path: string; query: URLSearchParams } {
  const text = url ?? '/'
  const mark = text.indexOf('?')
  if (mark < 0) return { path: text, query: new URLSearchParams() }
  return { path: text.slice(0, mark), query: new URLSearchParams(text.slice(mark + 1)) }
}

/** Resolves when the response takes more, or when its client is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
    if (response.destroyed) done()
  })
}

async function send(response: ServerResponse, answer: ApiResponse, isHead: boolean): Promise<void> {
  const { body } = answer
  if (typeof body === 'string' || body instanceof Uint8Array) {
    response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(body) })
    response.end(isHead ? undefined : body)
    return
  }
  response.writeHead(answer.status, answer.headers)
  response.flushHeaders()
  for await (const chunk of body) {
    if (!response.write(chunk)) await drained(response)
    if (response.destroyed) return
  }
  response.end()
}

/** Answers a request of a Node HTTP server. */
export async function answerNode(
  context: HandlerContext,
  incoming: IncomingMessage,
  response: ServerResponse,
  identify: () => User,
): Promise<void> {
  const gone = new AbortController()
  // The request's own close fires as soon as its body is read.
  response.on('close', () => gone.abort())
  let answer: ApiResponse
  try {
    const headers = headersOf(incoming)
    const user = impersonate(identify(), headers, context.authorizer)
    const body = await readBody(incoming)
    const { path, query } = splitUrl(incoming.url)
    const request: ApiRequest = {
      method: incoming.method ?? 'GET',
      path,
      query,
      headers,
      body,
      user,
      signal: gone.signal,
    }
    answer = await dispatch(context, request)
  } catch (error) {
    answer = errorResponse(error)
  }
  try {
    await send(response, answer, incoming.method === 'HEAD')
  } catch (error) {
    // Too late for a status: the client sees that the answer breaks off.
    if (!response.destroyed) context.core.logger.warn({ path: incoming.url, error }, 'answer broke off')
    response.destroy()
  }
}
