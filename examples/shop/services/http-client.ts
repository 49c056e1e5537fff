import { Agent, request } from 'node:http'

/** An answer to a call: its status and its body as JSON. */
export interface CallResult {
  status: number
  /** Each by its name in lower case. */
  headers: Record<string, string>
  /** What the body was, or an empty object when it was not a JSON object. */
  body: Record<string, unknown>
}

/** Calls one service over HTTP/1.1, on connections that are kept. */
export interface HttpClient {
  /** Sends a POST with a JSON body. Rejects when there is no answer. */
  post(path: string, body: Record<string, unknown>): Promise<CallResult>
  close(): void
}

/** An answer that takes longer counts as none. */
const timeoutMs = 5_000

/** @param baseUrl such as `http://cart:8080` */
export function createHttpClient(baseUrl: string): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: timeoutMs })
  return {
    post: (path, body) => post(agent, new URL(path, baseUrl), JSON.stringify(body)),
    close: () => agent.destroy(),
  }
}

function post(agent: Agent, url: URL, text: string): Promise<CallResult> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, method: 'POST', headers, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
        resolve({
          status: response.statusCode ?? 0,
          headers: Object.fromEntries(headers) as Record<string, string>,
          body: parse(Buffer.concat(chunks).toString('utf8')),
        })
      })
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url.host} in ${timeoutMs} ms`)))
    outgoing.on('error', reject)
    outgoing.end(text)
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
