import type { MessageInitShape } from '@bufbuild/protobuf'
import type { GrpcRouteMatchSchema } from '../../proto/gen/io/linkerd/proxy/grpc_route_pb.js'
import type {
  HeaderMatchSchema,
  HostMatchSchema,
  HttpRouteMatchSchema,
  QueryParamMatchSchema,
} from '../../proto/gen/io/linkerd/proxy/http_route_pb.js'
import {
  HttpMethod_Registered,
  type HttpMethodSchema,
} from '../../proto/gen/io/linkerd/proxy/http_types_pb.js'
import type { GrpcMatch, HostMatch, HttpMatch, ValueMatch } from './route/match.ts'

/** What a request must be like, as the wire has it. */
export function httpMatch(match: HttpMatch): MessageInitShape<typeof HttpRouteMatchSchema> {
  const { path, method, headers = [], query = [] } = match
  return {
    ...(path === undefined ? {} : { path: { kind: { case: path.kind, value: path.value } } }),
    ...(method === undefined ? {} : { method: httpMethod(method) }),
    headers: headers.map(headerMatch),
    queryParams: query.map(queryMatch),
  }
}

/** What a call must be like, as the wire has it. */
export function grpcMatch(match: GrpcMatch): MessageInitShape<typeof GrpcRouteMatchSchema> {
  const { service = '', method = '', headers = [] } = match
  const hasRpc = service !== '' || method !== ''
  return { headers: headers.map(headerMatch), ...(hasRpc ? { rpc: { service, method } } : {}) }
}

export function hostMatch(match: HostMatch): MessageInitShape<typeof HostMatchSchema> {
  return match.kind === 'exact'
    ? { match: { case: 'exact', value: match.name } }
    : { match: { case: 'suffix', value: { reverseLabels: [...match.reverseLabels] } } }
}

function headerMatch({ kind, name, value }: ValueMatch): MessageInitShape<typeof HeaderMatchSchema> {
  return kind === 'regex'
    ? { name, value: { case: 'regex', value } }
    : { name, value: { case: 'exact', value: new TextEncoder().encode(value) } }
}

function queryMatch({ kind, name, value }: ValueMatch): MessageInitShape<typeof QueryParamMatchSchema> {
  return { name, value: { case: kind, value } }
}

function httpMethod(method: string): MessageInitShape<typeof HttpMethodSchema> {
  const registered = (HttpMethod_Registered as unknown as Record<string, number | undefined>)[method]
  return registered === undefined
    ? { type: { case: 'unregistered', value: method } }
    : { type: { case: 'registered', value: registered } }
}
