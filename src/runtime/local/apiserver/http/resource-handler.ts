import { answerReview } from '../auth/reviews.ts'
import { isObject } from '../json.ts'
import type { KindDefinition } from '../registry/definition.ts'
import { badRequest, methodNotAllowed, notFound, StatusError } from '../status.ts'
import { createObject } from '../verbs/create.ts'
import { deleteCollection, deleteObject } from '../verbs/delete.ts'
import type { Operation } from '../verbs/operation.ts'
import { type PatchType, patchObject, patchTypes } from '../verbs/patch.ts'
import { listObjects } from '../verbs/read.ts'
import { currentObject, updateObject } from '../verbs/update.ts'
import { decodeBody, mediaTypeOf } from './body.ts'
import type { HandlerContext } from './context.ts'
import { type Forms, formsFor } from './forms.ts'
import { type ApiRequest, type ApiResponse, jsonResponse, warningHeaders } from './message.ts'
import {
  deleteOptionsOf,
  fieldManagerOf,
  fieldValidationOf,
  flagOf,
  isDryRun,
  selectionOf,
} from './options.ts'
import type { ResourcePath } from './path.ts'
import { answerSubresource } from './subresources.ts'
import { watchResponse } from './watch-response.ts'

/** 404 for a path that leads nowhere. */
export function unknownPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource')
}

function definitionFor(context: HandlerContext, path: ResourcePath): KindDefinition {
  const definition = context.core.registry.find(path.group, path.version, path.plural)
  if (!definition) throw unknownPath()
  return definition
}

function operationFor(request: ApiRequest, path: ResourcePath, definition: KindDefinition): Operation {
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  return {
    definition,
    namespace: path.namespace,
    name: path.name,
    subresource: path.subresource,
    user: request.user,
    dryRun: isRead ? false : isDryRun(request),
    fieldManager: fieldManagerOf(request),
    fieldValidation: isRead ? 'Ignore' : fieldValidationOf(request),
    warnings: [],
  }
}

function patchTypeOf(request: ApiRequest): PatchType {
  const type = mediaTypeOf(request)
  const found = Object.values(patchTypes).find((patchType) => patchType === type)
  if (found) return found
  const accepted = Object.values(patchTypes).join(', ')
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`
  throw new StatusError(415, 'UnsupportedMediaType', message)
}

interface Call {
  context: HandlerContext
  request: ApiRequest
  operation: Operation
  forms: Forms
}

async function onCollection({ context, request, operation, forms }: Call): Promise<ApiResponse> {
  const { core } = context
  switch (request.method) {
    case 'GET':
    case 'HEAD': {
      if (flagOf(request, 'watch')) return watchResponse(core, operation, request, forms)
      const { items, resourceVersion } = listObjects(core, operation, selectionOf(request))
      return jsonResponse(200, forms.list(items, resourceVersion))
    }
    case 'POST': {
      if (operation.definition.resource.namespaced && operation.namespace === undefined)
        throw methodNotAllowed('the server does not allow this method on the requested resource')
      const object = await createObject(core, operation, decodeBody(request))
      return jsonResponse(201, forms.one(object))
    }
    case 'DELETE': {
      const body = decodeBody(request)
      const dryRun = isDryRun(request, body)
      const options = deleteOptionsOf(request, body)
      const deleted = await deleteCollection(core, { ...operation, dryRun }, selectionOf(request), options)
      return jsonResponse(200, forms.list(deleted, core.store.resourceVersion))
    }
    default:
      throw methodNotAllowed('the server does not allow this method on the requested resource')
  }
}

function deletedStatus(operation: Operation, uid: string | undefined): Record<string, unknown> {
  const { plural, group } = operation.definition.resource
  const details = { name: operation.name, ...(group === '' ? {} : { group }), kind: plural, uid }
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
}

async function remove({ context, request, operation, forms }: Call): Promise<ApiResponse> {
  const body = decodeBody(request)
  const dryRun = isDryRun(request, body)
  const options = deleteOptionsOf(request, body)
  const { object, gone } = await deleteObject(context.core, { ...operation, dryRun }, options)
  if (!gone || operation.definition.resource.kind === 'Pod') return jsonResponse(200, forms.one(object))
  return jsonResponse(200, deletedStatus(operation, object.metadata.uid))
}

async function onObject(call: Call): Promise<ApiResponse> {
  const { context, request, operation, forms } = call
  const { core } = context
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return jsonResponse(200, forms.one(currentObject(core, operation)))
    case 'PUT': {
      const body = decodeBody(request)
      if (!isObject(body)) throw badRequest('the body of the request is empty')
      return jsonResponse(200, forms.one(await updateObject(core, operation, () => body)))
    }
    case 'PATCH': {
      const type = patchTypeOf(request)
      const isNew = !core.store.get(operation.definition.storage, operation.name ?? '', operation.namespace)
      const patched = await patchObject(core, operation, type, decodeBody(request), flagOf(request, 'force'))
      return jsonResponse(isNew ? 201 : 200, forms.one(patched))
    }
    case 'DELETE':
      return remove(call)
    default:
      throw methodNotAllowed('the server does not allow this method on the requested resource')
  }
}

function review({ context, request, operation, forms }: Call): ApiResponse {
  if (request.method !== 'POST')
    throw methodNotAllowed('the server does not allow this method on the requested resource')
  const body = decodeBody(request)
  if (!isObject(body)) throw badRequest('the body of the request is empty')
  const { kind } = operation.definition.resource
  const { authorizer, tokens } = context
  const given = { ...body, metadata: isObject(body.metadata) ? body.metadata : {} } as never
  const { user, namespace } = operation
  return jsonResponse(201, forms.one(answerReview(kind, given, { authorizer, tokens, user, namespace })))
}

/**
 * Answers a request for objects.
 * @throws KubeError
 */
export async function answerResource(
  context: HandlerContext,
  request: ApiRequest,
  path: ResourcePath,
): Promise<ApiResponse> {
  const definition = definitionFor(context, path)
  const { resource } = definition
  if (!resource.namespaced && path.namespace !== undefined) throw unknownPath()
  if (resource.namespaced && path.namespace === undefined && path.name !== undefined) {
    throw notFound(resource, path.name)
  }
  const operation = operationFor(request, path, definition)
  const call = {
    context,
    request,
    operation,
    forms: formsFor(definition, request, () => context.core.clock.nowMs()),
  }
  if (definition.virtual) return review(call)
  const special = await answerSubresource(context, request, path, operation)
  if (special) return special
  if (path.subresource !== undefined && !(path.subresource === 'status' && definition.hasStatus))
    throw unknownPath()
  const response = path.name === undefined ? await onCollection(call) : await onObject(call)
  if (operation.warnings.length === 0) return response
  return { ...response, headers: { ...response.headers, warning: warningHeaders(operation.warnings) } }
}
