import type { MessageInitShape } from '@bufbuild/protobuf'
import type { HttpRouteMatchSchema } from '../../proto/gen/io/linkerd/proxy/http_route_pb.js'
import {
  HttpMethod_Registered,
  type HttpMethodSchema,
} from '../../proto/gen/io/linkerd/proxy/http_types_pb.js'
import type { HttpMatch } from './inbound-route.ts'

/** What a request must be like, as the wire has it. */
export function httpMatch({ path, method }: HttpMatch): MessageInitShape<typeof HttpRouteMatchSchema> {
  return {
    ...(path === undefined ? {} : { path: { kind: { case: path.kind, value: path.value } } }),
    ...(method === undefined ? {} : { method: httpMethod(method) }),
  }
}

function httpMethod(method: string): MessageInitShape<typeof HttpMethodSchema> {
  const registered = (HttpMethod_Registered as unknown as Record<string, number | undefined>)[method]
  return registered === undefined
    ? { type: { case: 'unregistered', value: method } }
    : { type: { case: 'registered', value: registered } }
}
