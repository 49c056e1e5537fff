import { MeshError } from '../shared/errors.ts'
import type { Certificate } from './certificate.ts'

const maxDepth = 8

/**
 * Verifies that a certificate leads to one of the anchors: names, signatures, validity, authority and path length
 * (RFC 5280 §6).
 * @param chain the certificate, then its intermediates in any order
 * @returns the path from the certificate to its anchor
 * @throws MeshError `MESH_CHAIN_INVALID`
 */
export function verifyChain(
  chain: readonly Certificate[],
  anchors: readonly Certificate[],
  atMs: number,
): Certificate[] {
  const [leaf, ...intermediates] = chain
  if (leaf === undefined) throw chainError('There is no certificate to verify')
  const problem = validityProblem(leaf, atMs)
  if (problem !== undefined) throw chainError(problem)
  const path = [leaf]
  for (let below = leaf; path.length <= maxDepth; ) {
    const authoritiesBelow = path.length - 1
    const anchor = anchors.find(
      (known) => known.der.equals(below.der) || isIssuedBy(below, known, authoritiesBelow, atMs),
    )
    if (anchor !== undefined) return anchor.der.equals(below.der) ? path : [...path, anchor]
    const next = intermediates.find(
      (known) => !path.includes(known) && isIssuedBy(below, known, authoritiesBelow, atMs),
    )
    if (next === undefined)
      throw chainError(whyNot(below, [...anchors, ...intermediates], authoritiesBelow, atMs))
    path.push(next)
    below = next
  }
  throw chainError(`The chain is longer than ${maxDepth} certificates`)
}

function isIssuedBy(
  below: Certificate,
  issuer: Certificate,
  authoritiesBelow: number,
  atMs: number,
): boolean {
  return issuerProblem(below, issuer, authoritiesBelow, atMs) === undefined
}

/** Why that one is not the issuer of the certificate below it. */
function issuerProblem(
  below: Certificate,
  issuer: Certificate,
  authoritiesBelow: number,
  atMs: number,
): string | undefined {
  if (!below.issuerDer.equals(issuer.subjectDer)) return 'its name is another'
  if (!below.isSignedBy(issuer.publicKey)) return 'the signature was made by another key'
  if (!issuer.isAuthority || !issuer.canSignCertificates) return 'it is no certificate authority'
  if (issuer.pathLength !== undefined && authoritiesBelow > issuer.pathLength) {
    return `it allows ${issuer.pathLength} authorities below it`
  }
  return validityProblem(issuer, atMs)
}

function whyNot(
  below: Certificate,
  known: readonly Certificate[],
  authoritiesBelow: number,
  atMs: number,
): string {
  const named = known.find((candidate) => below.issuerDer.equals(candidate.subjectDer))
  if (named === undefined) return `No anchor has issued "${below.commonName ?? below.serial}"`
  const problem = issuerProblem(below, named, authoritiesBelow, atMs)
  return `"${named.commonName ?? named.serial}" cannot vouch for "${below.commonName ?? below.serial}": ${problem}`
}

function validityProblem(certificate: Certificate, atMs: number): string | undefined {
  const name = certificate.commonName ?? certificate.serial
  if (atMs < certificate.notBeforeMs) {
    return `"${name}" is valid only from ${new Date(certificate.notBeforeMs).toISOString()} on`
  }
  if (atMs > certificate.notAfterMs) {
    return `"${name}" expired at ${new Date(certificate.notAfterMs).toISOString()}`
  }
  return undefined
}

function chainError(reason: string): MeshError {
  return new MeshError({
    code: 'MESH_CHAIN_INVALID',
    kind: 'environment',
    message: 'The certificate does not lead to a trust anchor',
    reason,
    next: ['mesh check   # shows the certificates'],
  })
}
