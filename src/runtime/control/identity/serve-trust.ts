import { create } from '@bufbuild/protobuf'
import type { ConnectRouter } from '@connectrpc/connect'
import type { KubeClient } from '../../kube/types.ts'
import { BundleSchema, TrustBundles } from '../../proto/gen/mesh/identity/v1/trust_pb.js'
import { asConnectError } from './serve.ts'
import { maxTokenBytes, refuseIf, reviewToken } from './token-review.ts'
import type { TrustHub } from './trust-hub.ts'

/** `mesh.identity.v1.TrustBundles`. */
export function trustRoutes(kube: KubeClient, hub: TrustHub): (router: ConnectRouter) => void {
  return (router) => {
    router.service(TrustBundles, {
      async *watch(request, { signal }) {
        try {
          if (request.token.length === 0) refuseIf({ kind: 'invalid-argument', reason: 'token is missing' })
          if (request.token.length > maxTokenBytes)
            refuseIf({ kind: 'invalid-argument', reason: 'the token is too long' })
          const { podUid } = await reviewToken(kube, request.token)
          for await (const { anchors, revision } of hub.watch(podUid, request.heldRevision, signal)) {
            yield create(BundleSchema, { anchors, revision })
          }
        } catch (thrown) {
          throw asConnectError(thrown)
        }
      },
    })
  }
}
