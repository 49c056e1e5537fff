import { resources } from '../../../kube/resources.ts'
import { isObject, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { forwardToPod, forwardToService } from '../proxy/forward.ts'
import { badRequest, methodNotAllowed, notFound } from '../status.ts'
import { deleteObject } from '../verbs/delete.ts'
import type { Operation } from '../verbs/operation.ts'
import { currentObject, updateObject } from '../verbs/update.ts'
import { decodeBody } from './body.ts'
import type { HandlerContext } from './context.ts'
import { podLogResponse } from './logs.ts'
import { type ApiRequest, type ApiResponse, jsonResponse } from './message.ts'
import { deleteOptionsOf } from './options.ts'
import type { ResourcePath } from './path.ts'
import { answerScale } from './scale.ts'

type Handler = (call: {
  context: HandlerContext
  request: ApiRequest
  path: ResourcePath
  operation: Operation
}) => Promise<ApiResponse> | ApiResponse

function requireMethod(request: ApiRequest, ...methods: string[]): void {
  if (!methods.includes(request.method)) {
    throw methodNotAllowed('the server does not allow this method on the requested resource')
  }
}

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' }

const issueToken: Handler = ({ context, request, operation }) => {
  requireMethod(request, 'POST')
  const body = decodeBody(request)
  const spec = valueAt(body, ['spec'])
  const { namespace = '', name = '' } = operation
  const audiences = valueAt(spec, ['audiences'])
  const seconds = valueAt(spec, ['expirationSeconds'])
  const bound = valueAt(spec, ['boundObjectRef'])
  const pod = isObject(bound) && bound.kind === 'Pod' ? boundPod(context, namespace, bound) : undefined
  const issued = context.tokens.issue({
    namespace,
    serviceAccount: name,
    ...(Array.isArray(audiences) ? { audiences: audiences.map(String) } : {}),
    ...(typeof seconds === 'number' ? { expirationSeconds: seconds } : {}),
    ...(pod ? { pod } : {}),
  })
  return jsonResponse(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: null },
    spec: isObject(spec) ? spec : {},
    status: issued,
  })
}

function boundPod(
  context: HandlerContext,
  namespace: string,
  bound: Record<string, unknown>,
): { name: string; uid: string } {
  const name = String(bound.name ?? '')
  const pod = context.core.store.get(resources.pods, name, namespace)
  if (!pod) throw notFound(resources.pods, name)
  const uid = pod.metadata.uid ?? ''
  if (bound.uid !== undefined && bound.uid !== '' && bound.uid !== uid) {
    throw badRequest(
      `the UID in the bound object reference (${String(bound.uid)}) does not match the UID in record`,
    )
  }
  return { name, uid }
}

const bindPod: Handler = async ({ context, request, operation }) => {
  requireMethod(request, 'POST')
  const nodeName = valueAt(decodeBody(request), ['target', 'name'])
  if (typeof nodeName !== 'string' || nodeName === '') throw badRequest('target.name is required')
  await updateObject(context.core, { ...operation, subresource: undefined }, (pod) => ({
    ...pod,
    spec: { ...(pod.spec as object), nodeName },
  }))
  return jsonResponse(201, success)
}

const evictPod: Handler = async ({ context, request, operation }) => {
  requireMethod(request, 'POST')
  const options = deleteOptionsOf(request, valueAt(decodeBody(request), ['deleteOptions']))
  await deleteObject(context.core, { ...operation, subresource: undefined }, options)
  return jsonResponse(201, success)
}

const finalizeNamespace: Handler = async ({ context, request, operation }) => {
  requireMethod(request, 'PUT')
  const body = decodeBody(request)
  const finalizers = valueAt(body, ['spec', 'finalizers']) ?? []
  const ref = { name: operation.name ?? '' }
  currentObject(context.core, operation)
  const done = context.core.store.update<StoredObject>(resources.namespaces, ref, (namespace) => ({
    ...namespace,
    spec: { ...(namespace.spec as object | undefined), finalizers },
  }))
  return jsonResponse(200, done)
}

const handlers: Record<string, Handler> = {
  'pods/log': ({ context, request, operation }) => podLogResponse(context, request, operation),
  'pods/binding': bindPod,
  'pods/eviction': evictPod,
  'pods/proxy': ({ context, request, path }) => forwardToPod(context, request, path),
  'services/proxy': ({ context, request, path }) => forwardToService(context, request, path),
  'serviceaccounts/token': issueToken,
  'namespaces/finalize': finalizeNamespace,
}

/** Answers the subresources that are not parts of an object; undefined for all other requests. */
export async function answerSubresource(
  context: HandlerContext,
  request: ApiRequest,
  path: ResourcePath,
  operation: Operation,
): Promise<ApiResponse | undefined> {
  if (path.subresource === undefined) return undefined
  if (path.subresource === 'scale' && operation.definition.scale) {
    return answerScale(context.core, request, operation, operation.definition.scale)
  }
  const handler = path.group === '' ? handlers[`${path.plural}/${path.subresource}`] : undefined
  return handler && (await handler({ context, request, path, operation }))
}
