import type { MessageInitShape } from '@bufbuild/protobuf'
import { Scheme_Registered } from '../../proto/gen/io/linkerd/proxy/http_types_pb.js'
import type { HttpRoute_FilterSchema as InboundFilterSchema } from '../../proto/gen/io/linkerd/proxy/inbound_pb.js'
import type { HttpRoute_FilterSchema } from '../../proto/gen/io/linkerd/proxy/outbound_pb.js'
import type { Filter, HeaderChanges, HeaderField, Redirect } from './route/filter.ts'

const always = { numerator: 1, denominator: 1 }

/** A filter of an outbound HTTP route. */
export function outboundHttpFilter(filter: Filter): MessageInitShape<typeof HttpRoute_FilterSchema> {
  switch (filter.kind) {
    case 'request-headers':
      return { kind: { case: 'requestHeaderModifier', value: headerModifier(filter.changes) } }
    case 'response-headers':
      return { kind: { case: 'responseHeaderModifier', value: headerModifier(filter.changes) } }
    case 'redirect':
      return { kind: { case: 'redirect', value: redirectToWire(filter.redirect) } }
    case 'failure': {
      const { status, message } = filter
      return { kind: { case: 'failureInjector', value: { status, message, ratio: always } } }
    }
  }
}

/** A filter of an inbound HTTP route; the wire has no others. */
export function inboundHttpFilter(filter: Filter): MessageInitShape<typeof InboundFilterSchema>[] {
  switch (filter.kind) {
    case 'request-headers':
      return [{ kind: { case: 'requestHeaderModifier', value: headerModifier(filter.changes) } }]
    case 'redirect':
      return [{ kind: { case: 'redirect', value: redirectToWire(filter.redirect) } }]
    case 'failure': {
      const { status, message } = filter
      return [{ kind: { case: 'failureInjector', value: { status, message, ratio: always } } }]
    }
    case 'response-headers':
      return []
  }
}

/** A filter of a gRPC route, inbound or outbound; the wire has no others. */
export function grpcFilter(filter: Filter): GrpcFilterInit[] {
  switch (filter.kind) {
    case 'request-headers':
      return [{ kind: { case: 'requestHeaderModifier', value: headerModifier(filter.changes) } }]
    case 'failure': {
      // A call that cannot be routed is answered as INTERNAL.
      const value = { code: 13, message: filter.message, ratio: always }
      return [{ kind: { case: 'failureInjector', value } }]
    }
    case 'response-headers':
    case 'redirect':
      return []
  }
}

/** The shape that the filters of gRPC routes share in both directions. */
interface GrpcFilterInit {
  kind:
    | { case: 'requestHeaderModifier'; value: ReturnType<typeof headerModifier> }
    | { case: 'failureInjector'; value: { code: number; message: string; ratio: typeof always } }
}

function headerModifier({ set, add, remove }: HeaderChanges) {
  return { set: headers(set), add: headers(add), remove: [...remove] }
}

function headers(fields: readonly HeaderField[]) {
  const encoder = new TextEncoder()
  return { headers: fields.map(({ name, value }) => ({ name, value: encoder.encode(value) })) }
}

function redirectToWire({ scheme, host = '', path, port = 0, status }: Redirect) {
  return {
    host,
    port,
    status,
    ...(scheme === undefined
      ? {}
      : {
          scheme: {
            type: {
              case: 'registered' as const,
              value: scheme === 'https' ? Scheme_Registered.HTTPS : Scheme_Registered.HTTP,
            },
          },
        }),
    ...(path === undefined ? {} : { path: { replace: { case: path.kind, value: path.value } } }),
  }
}
