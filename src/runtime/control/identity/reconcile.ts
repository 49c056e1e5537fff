import type { Authority } from '../../pki/authority.ts'
import { type Certificate, parseCertificates } from '../../pki/certificate.ts'
import { verifyChain } from '../../pki/chain.ts'
import type { Csr } from '../../pki/csr.ts'
import { parsePrivateKey } from '../../pki/keys.ts'
import { MeshError } from '../../shared/errors.ts'
import { identityTokenAudience } from '../../shared/labels.ts'
import type { TlsPair } from './objects.ts'

/** What signs the certificates of workloads. */
export interface Issuer extends Authority {
  /** Sent to proxies: the issuer and what stands between it and its anchor, leaf first. */
  intermediates: Certificate[]
  anchor: Certificate
  /** When the first certificate of the chain stops being valid, in ms since the epoch. */
  notAfterMs: number
}

/** Why a request is refused; the kind chooses the gRPC status. */
export interface Refusal {
  kind: 'invalid-argument' | 'failed-precondition'
  reason: string
}

/** Status of a TokenReview, `authentication.k8s.io/v1`. */
export interface TokenReviewStatus {
  authenticated?: boolean
  error?: string
  audiences?: string[]
  user?: { username?: string; extra?: Record<string, string[]> }
}

export interface ServiceAccountName {
  namespace: string
  name: string
}

/**
 * Reads an issuer and verifies that it is one: its key belongs to it, and it leads to a trust anchor.
 * @throws MeshError `MESH_IDENTITY_ISSUER_INVALID`, with the reason
 */
export function readIssuer(pair: TlsPair, rootsPem: string, nowMs: number): Issuer {
  try {
    const chain = parseCertificates(pair.certificatePem)
    const privateKey = parsePrivateKey(pair.privateKeyPem)
    const [certificate] = chain
    if (certificate === undefined || !certificate.belongsTo(privateKey))
      throw new Error('the key belongs to another certificate')
    if (!certificate.isAuthority || !certificate.canSignCertificates) {
      throw new Error('the certificate is no certificate authority')
    }
    const path = verifyChain(chain, parseCertificates(rootsPem), nowMs)
    const anchor = path.at(-1) ?? certificate
    return {
      certificate,
      privateKey,
      anchor,
      intermediates: path.length === 1 ? [certificate] : path.slice(0, -1),
      notAfterMs: Math.min(...path.map((one) => one.notAfterMs)),
    }
  } catch (thrown) {
    const error = MeshError.from(thrown)
    throw new MeshError({
      code: 'MESH_IDENTITY_ISSUER_INVALID',
      kind: 'environment',
      message: 'The issuer of the mesh cannot be used',
      reason: error.code === 'MESH_BUG' ? error.message : `${error.message}: ${error.reason ?? ''}`,
      next: [
        'mesh check   # shows the certificates',
        'Mend Secret linkerd-identity-issuer, or delete it and restart linkerd-identity to have a new one made.',
      ],
      cause: thrown,
    })
  }
}

/** The name of a workload's identity. */
export function identityOf(
  account: ServiceAccountName,
  controlPlaneNamespace: string,
  trustDomain: string,
): string {
  return `${account.name}.${account.namespace}.serviceaccount.identity.${controlPlaneNamespace}.${trustDomain}`
}

/** A request is for exactly one name, the identity, and for nothing else. */
export function refusalOfRequest(identity: string, csr: Csr): Refusal | undefined {
  const { dnsNames, emails, ipAddresses, uris, otherCount } = csr.names
  const refuse = (reason: string): Refusal => ({ kind: 'failed-precondition', reason })
  if (emails.length > 0) return refuse('the request has e-mail addresses')
  if (ipAddresses.length > 0) return refuse('the request has IP addresses')
  if (uris.length > 0) return refuse('the request has URIs')
  if (otherCount > 0) return refuse('the request has names that are no DNS names')
  if (dnsNames.length !== 1) return refuse(`the request has ${dnsNames.length} DNS names instead of one`)
  if (dnsNames[0] !== identity) return refuse(`the request is for ${dnsNames[0]}, not for ${identity}`)
  const wrong = csr.commonNames.find((name) => name !== '' && name !== identity)
  return wrong === undefined
    ? undefined
    : refuse(`the common name of the request is ${wrong}, not ${identity}`)
}

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const dnsSubdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/**
 * Whose token it was. The audience must be in the answer: an API server that did not look at audiences has not
 * verified that the token was made for us.
 */
export function subjectOfToken(status: TokenReviewStatus): ServiceAccountName | Refusal {
  if (status.authenticated !== true) {
    return {
      kind: 'failed-precondition',
      reason: `the token is not valid${status.error ? `: ${status.error}` : ''}`,
    }
  }
  if (!(status.audiences ?? []).includes(identityTokenAudience)) {
    return {
      kind: 'failed-precondition',
      reason: `the token is not for the audience ${identityTokenAudience}`,
    }
  }
  const username = status.user?.username ?? ''
  const [system, kind, namespace = '', name = '', ...rest] = username.split(':')
  const isAccount = system === 'system' && kind === 'serviceaccount' && rest.length === 0
  if (!isAccount || !dnsLabel.test(namespace) || !dnsSubdomain.test(name)) {
    return {
      kind: 'invalid-argument',
      reason: `the token belongs to "${username}", which is no service account`,
    }
  }
  return { namespace, name }
}

/** The pod that a token is bound to; tokens that were not made for a pod have none. */
export function podUidOfToken(status: TokenReviewStatus): string | undefined {
  return status.user?.extra?.['authentication.kubernetes.io/pod-uid']?.[0]
}

/** A leaf lasts its lifetime and a bit more on both sides for clocks that differ, but never longer than its chain. */
export function leafValidity(
  nowMs: number,
  lifetimeMs: number,
  clockSkewMs: number,
  issuer: Pick<Issuer, 'notAfterMs'>,
): { notBeforeMs: number; notAfterMs: number } {
  const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000
  return {
    notBeforeMs: wholeSeconds(nowMs - clockSkewMs),
    notAfterMs: wholeSeconds(Math.min(nowMs + lifetimeMs + clockSkewMs, issuer.notAfterMs)),
  }
}

/** An issuer is renewed when a third of its life is left. */
export function isRenewalDue(certificate: Certificate, nowMs: number): boolean {
  return certificate.notAfterMs - nowMs < (certificate.notAfterMs - certificate.notBeforeMs) / 3
}
