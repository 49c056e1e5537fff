import { StatusError } from '../status.ts'

/** Decodes a protobuf body. */
export function decodeProtobufObject(_body: Uint8Array): unknown {
  throw new StatusError(
    415,
    'UnsupportedMediaType',
    'this cluster does not read protobuf bodies of this kind; use `kubectl apply -f` or `kubectl create -f` with a file instead',
  )
}
