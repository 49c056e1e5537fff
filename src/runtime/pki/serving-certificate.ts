import { createTrustAnchor, issueLeaf, subjectOf, type Validity } from './authority.ts'
import { generateKey, privateKeyPem } from './keys.ts'
import { toPem } from './pem.ts'

/** A server's certificate with the authority that clients are given. All PEM. */
export interface ServingCertificate {
  certificatePem: string
  privateKeyPem: string
  /** What clients trust, such as the `caBundle` of a webhook. */
  authorityPem: string
}

/**
 * Makes the certificate of a Service, for `NAME.NAMESPACE.svc`, and an authority for it alone, whose key is forgotten
 * at once: nothing else can ever be issued under that bundle.
 */
export function createServingCertificate(
  service: string,
  namespace: string,
  validity: Validity,
): ServingCertificate {
  const host = `${service}.${namespace}.svc`
  const authority = createTrustAnchor(`${service} authority`, validity)
  const key = generateKey()
  const der = issueLeaf(authority, {
    ...validity,
    publicKey: key.publicKey,
    subject: subjectOf(host),
    dnsNames: [host],
    purposes: ['server'],
  })
  return {
    certificatePem: toPem('CERTIFICATE', der),
    privateKeyPem: privateKeyPem(key.privateKey),
    authorityPem: authority.certificate.toPem(),
  }
}
