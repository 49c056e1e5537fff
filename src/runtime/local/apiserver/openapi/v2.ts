import type { ApiRequest, ApiResponse } from '../http/message.ts'
import { writeMessage } from '../protobuf/writer.ts'
import { apiVersionOf, type KindDefinition } from '../registry/definition.ts'
import type { Registry } from '../registry/registry.ts'

// As real servers write it: the type that clients ask for holds an @, which no media type may.
const contentType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

// Field numbers of the messages of gnostic's OpenAPIv2.proto.
const document = { swagger: 1, info: 2, paths: 8 }
const operation = { operationId: 5, parameters: 8, vendorExtension: 13 }
const pathItem = { patch: 8 }

function queryParameter(name: string): Buffer {
  const query = writeMessage([2, 'query'], [4, name], [6, 'string'])
  const nonBody = writeMessage([3, query])
  const parameter = writeMessage([2, nonBody])
  return writeMessage([1, parameter])
}

function kindExtension({ resource: { group, version, kind } }: KindDefinition): Buffer {
  const value = writeMessage([2, JSON.stringify({ group, version, kind })])
  return writeMessage([1, 'x-kubernetes-group-version-kind'], [2, value])
}

function namedPath(definition: KindDefinition): Buffer {
  const { group, plural, namespaced, kind } = definition.resource
  const root = group === '' ? '/api/v1' : `/apis/${apiVersionOf(definition.resource)}`
  const path = `${root}${namespaced ? '/namespaces/{namespace}' : ''}/${plural}/{name}`
  const patch = writeMessage(
    [operation.operationId, `patch${kind}`],
    ...['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name): [number, Buffer] => [
      operation.parameters,
      queryParameter(name),
    ]),
    [operation.vendorExtension, kindExtension(definition)],
  )
  return writeMessage([1, path], [2, writeMessage([pathItem.patch, patch])])
}

/**
 * Answers `/openapi/v2` for kubectl 1.28 and older, which asks there whether the server validates fields. The document
 * holds that answer and no schemas: these are in version 3.
 */
export function answerOpenApiV2(registry: Registry, request: ApiRequest): ApiResponse | undefined {
  if (request.path !== '/openapi/v2' || !request.headers.accept?.includes('proto-openapi.spec.v2'))
    return undefined
  const kinds = registry.all().filter((definition) => !definition.virtual)
  const paths = writeMessage(...kinds.map((definition): [number, Buffer] => [2, namedPath(definition)]))
  const info = writeMessage([1, 'Kubernetes'], [2, 'unversioned'])
  const body = writeMessage([document.swagger, '2.0'], [document.info, info], [document.paths, paths])
  return { status: 200, headers: { 'content-type': contentType }, body }
}
