import { parseAllDocuments, parseDocument } from 'yaml'
import { decodeProtobufObject } from '../protobuf/decode.ts'
import { badRequest, StatusError } from '../status.ts'
import type { ApiRequest } from './message.ts'

/** The media type of a request, without parameters. */
export function mediaTypeOf(request: ApiRequest): string {
  return (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? ''
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw badRequest(
      `the body of the request is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function parseYaml(text: string): unknown {
  if (parseAllDocuments(text).length > 1)
    throw badRequest('the body of the request holds several YAML documents')
  const document = parseDocument(text)
  const error = document.errors[0]
  if (error) throw badRequest(`the body of the request is not YAML: ${error.message}`)
  return document.toJS() as unknown
}

const protobufType = 'application/vnd.kubernetes.protobuf'

/**
 * The value that the body holds; undefined for an empty one.
 * @throws KubeError 400 when it cannot be parsed, 415 for another format
 */
export function decodeBody(request: ApiRequest): unknown {
  if (request.body.length === 0) return undefined
  const type = mediaTypeOf(request)
  if (type === protobufType) return decodeProtobufObject(request.body)
  const text = new TextDecoder().decode(request.body)
  if (type === 'application/yaml' || type === 'application/apply-patch+yaml') {
    return text.trimStart().startsWith('{') ? parseJson(text) : parseYaml(text)
  }
  if (type === '' || type === 'application/json' || type.endsWith('+json')) return parseJson(text)
  const accepted = `application/json, application/yaml, ${protobufType}`
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`
  throw new StatusError(415, 'UnsupportedMediaType', message)
}
