import { type ApiRequest, type ApiResponse, jsonResponse } from '../http/message.ts'
import { parseAccept } from '../http/negotiate.ts'
import type { Registry } from '../registry/registry.ts'
import { aggregatedDiscovery, apiGroup, coreVersions, groupList, resourceList } from './resources.ts'

const aggregatedVersions = ['v2', 'v2beta1']

/** The aggregated version that the client prefers over plain JSON, if any. */
function wantedAggregation(request: ApiRequest): string | undefined {
  for (const { type, parameters } of parseAccept(request.headers.accept)) {
    if (type !== 'application/json') continue
    if (parameters.as === undefined) return undefined
    const { g, v = '' } = parameters
    if (g === 'apidiscovery.k8s.io' && aggregatedVersions.includes(v)) return v
  }
  return undefined
}

function found(value: unknown): ApiResponse | undefined {
  return value === undefined ? undefined : jsonResponse(200, value)
}

/** Answers the discovery paths; undefined for any other path, and for groups that are not served. */
export function answerDiscovery(registry: Registry, request: ApiRequest): ApiResponse | undefined {
  const parts = request.path.split('/').filter((part) => part !== '')
  const [root, first, second] = parts
  if (root !== 'api' && root !== 'apis') return undefined
  if (parts.length === 1) {
    const version = wantedAggregation(request)
    if (version === undefined) return jsonResponse(200, root === 'api' ? coreVersions() : groupList(registry))
    const contentType = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
    return jsonResponse(200, aggregatedDiscovery(registry, root === 'api', version), contentType)
  }
  if (root === 'api') return parts.length === 2 ? found(resourceList(registry, '', first ?? '')) : undefined
  if (parts.length === 2) return found(apiGroup(registry, first ?? ''))
  return parts.length === 3 ? found(resourceList(registry, first ?? '', second ?? '')) : undefined
}
