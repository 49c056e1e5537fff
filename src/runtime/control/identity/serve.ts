import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect'
import { type KubeClient, KubeError } from '../../kube/types.ts'
import { issueLeaf, subjectOf } from '../../pki/authority.ts'
import { parseCsr } from '../../pki/csr.ts'
import {
  type CertifyRequest,
  type CertifyResponse,
  CertifyResponseSchema,
  Identity,
} from '../../proto/gen/io/linkerd/proxy/identity_pb.js'
import type { Clock } from '../../shared/clock.ts'
import { MeshError } from '../../shared/errors.ts'
import {
  type Issuer,
  identityOf,
  leafValidity,
  refusalOfRequest,
  type ServiceAccountName,
} from './reconcile.ts'
import { maxTokenBytes, refuseIf, reviewToken } from './token-review.ts'

export interface CertifyDeps {
  kube: KubeClient
  clock: Clock
  controlPlaneNamespace: string
  trustDomain: string
  lifetimeMs: number
  clockSkewMs: number
  /** The issuer in use; undefined while there is none. */
  issuer: () => Issuer | undefined
  onIssued: (account: ServiceAccountName, identity: string, leaf: Uint8Array, notAfterMs: number) => void
  /** Told of each refusal and failure, with its gRPC code. */
  onRefused: (identity: string, code: Code, reason: string) => void
}

/** `io.linkerd.proxy.identity.Identity`. */
export function identityRoutes(deps: CertifyDeps): (router: ConnectRouter) => void {
  return (router) => {
    router.service(Identity, {
      certify: async (request) => {
        try {
          return await certify(deps, request)
        } catch (thrown) {
          const error = asConnectError(thrown)
          deps.onRefused(request.identity, error.code, error.rawMessage)
          throw error
        }
      },
    })
  }
}

async function certify(deps: CertifyDeps, request: CertifyRequest): Promise<CertifyResponse> {
  const issuer = deps.issuer()
  if (issuer === undefined) throw new ConnectError('there is no issuer yet', Code.Unavailable)
  requireFields(request)
  const csr = parseCsr(request.certificateSigningRequest)
  refuseIf(refusalOfRequest(request.identity, csr))
  const { account } = await reviewToken(deps.kube, request.token)
  const proven = identityOf(account, deps.controlPlaneNamespace, deps.trustDomain)
  if (proven !== request.identity) {
    refuseIf({
      kind: 'failed-precondition',
      reason: `the token proves ${proven}, but the request is for ${request.identity}`,
    })
  }
  const validity = leafValidity(deps.clock.nowMs(), deps.lifetimeMs, deps.clockSkewMs, issuer)
  const leaf = issueLeaf(issuer, {
    ...validity,
    publicKey: csr.publicKey,
    subject: subjectOf(request.identity),
    dnsNames: [request.identity],
  })
  deps.onIssued(account, request.identity, leaf, validity.notAfterMs)
  return create(CertifyResponseSchema, {
    leafCertificate: leaf,
    intermediateCertificates: issuer.intermediates.map(({ der }) => der),
    validUntil: timestampFromMs(validity.notAfterMs),
  })
}

function requireFields(request: CertifyRequest): void {
  const missing = [
    request.identity === '' ? 'identity' : undefined,
    request.token.length === 0 ? 'token' : undefined,
    request.certificateSigningRequest.length === 0 ? 'certificate_signing_request' : undefined,
  ].filter((name) => name !== undefined)
  if (missing.length > 0) refuseIf({ kind: 'invalid-argument', reason: `${missing.join(', ')} is missing` })
  if (request.token.length > maxTokenBytes)
    refuseIf({ kind: 'invalid-argument', reason: 'the token is too long' })
}

/** The one place where failures become gRPC codes. What the caller cannot mend is not told in detail. */
export function asConnectError(thrown: unknown): ConnectError {
  if (thrown instanceof ConnectError) return thrown
  if (thrown instanceof KubeError) {
    return new ConnectError(`the token cannot be reviewed: ${thrown.message}`, Code.Unavailable)
  }
  const error = MeshError.from(thrown)
  const detail = error.reason === undefined ? error.message : `${error.message}: ${error.reason}`
  switch (error.code) {
    case 'MESH_CSR_INVALID':
      return new ConnectError(detail, Code.InvalidArgument)
    case 'MESH_KUBE_UNREACHABLE':
    case 'MESH_ISSUER_EXPIRED':
      return new ConnectError(detail, Code.Unavailable)
    default:
      return new ConnectError('the certificate cannot be issued', Code.Internal, undefined, undefined, thrown)
  }
}
