import { createHttpClient } from './http-client.ts'
import { marker } from './service.ts'

/**
 * One request from a client that has no part in the mesh, told on standard output as one line of JSON:
 * `{"status":403,"headers":{…},"body":{…}}`, or `{"error":"…"}` when there was no answer.
 * @param url with its path
 */
export async function call(url: URL): Promise<void> {
  const client = createHttpClient(url.origin)
  try {
    const result = await client.post(url.pathname, { customer: marker, sku: 'tea', cents: 100 })
    process.stdout.write(`${JSON.stringify(result)}\n`)
  } catch (thrown) {
    process.stdout.write(
      `${JSON.stringify({ error: thrown instanceof Error ? thrown.message : String(thrown) })}\n`,
    )
  } finally {
    client.close()
  }
}
