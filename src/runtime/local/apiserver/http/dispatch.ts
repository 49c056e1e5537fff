import { tokenIssuer } from '../auth/tokens.ts'
import { answerDiscovery } from '../discovery/discovery.ts'
import { answerOpenApi } from '../openapi/openapi.ts'
import { answerOpenApiV2 } from '../openapi/v2.ts'
import { denied, resourceAttributes } from './attributes.ts'
import type { HandlerContext } from './context.ts'
import { answerHealth, versionInfo } from './health.ts'
import { type ApiRequest, type ApiResponse, errorResponse, jsonResponse } from './message.ts'
import { parseResourcePath } from './path.ts'
import { answerResource, unknownPath } from './resource-handler.ts'

function answerIssuer(context: HandlerContext, path: string): ApiResponse | undefined {
  if (path === '/openid/v1/jwks') return jsonResponse(200, context.tokens.keySet())
  if (path !== '/.well-known/openid-configuration') return undefined
  return jsonResponse(200, {
    issuer: tokenIssuer,
    jwks_uri: `${tokenIssuer}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  })
}

function answerPath(context: HandlerContext, request: ApiRequest): ApiResponse {
  const { path } = request
  const attributes = { user: request.user, verb: request.method.toLowerCase(), path }
  if (!context.authorizer.authorize(attributes).allowed) throw denied(attributes)
  if (path === '/version' || path === '/version/') return jsonResponse(200, versionInfo(context.minorVersion))
  const found =
    answerHealth(path) ??
    answerDiscovery(context.core.registry, request) ??
    answerOpenApi(context.core.registry, request) ??
    answerOpenApiV2(context.core.registry, request) ??
    answerIssuer(context, path)
  if (found) return found
  throw unknownPath()
}

/** Authorizes and answers a request; errors become Status answers. */
export async function dispatch(context: HandlerContext, request: ApiRequest): Promise<ApiResponse> {
  try {
    const path = parseResourcePath(request.path)
    if (!path) return answerPath(context, request)
    const attributes = resourceAttributes(request, path)
    if (!context.authorizer.authorize(attributes).allowed) throw denied(attributes)
    return await answerResource(context, request, path)
  } catch (error) {
    if (!(error instanceof Error) || !('status' in error)) {
      context.core.logger.error({ method: request.method, path: request.path, error }, 'request failed')
    }
    return errorResponse(error)
  }
}
