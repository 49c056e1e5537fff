import jsonPatch, { type Operation } from 'fast-json-patch'
import { cloneJson } from '../json.ts'
import { badRequest, StatusError } from '../status.ts'

/**
 * JSON patch, RFC 6902.
 * @throws KubeError 400 for what is no patch, 422 for one that does not fit the document
 */
export function applyJsonPatch<T>(document: T, patch: unknown): T {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is an array of operations')
  const operations = cloneJson(patch) as Operation[]
  try {
    return jsonPatch.applyPatch(cloneJson(document), operations, true, true).newDocument
  } catch (error) {
    const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    throw new StatusError(
      422,
      'Invalid',
      `the server rejected our request due to an error in our request: ${message}`,
    )
  }
}
