import { resources } from '../../kube/resources.ts'
import { type KubeClient, KubeError } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import { newIssuer, readAnchor } from './bootstrap.ts'
import { issuerSecretName, type Secret, tlsSecret } from './objects.ts'
import { type Issuer, isRenewalDue } from './reconcile.ts'

export interface RenewalOptions {
  kube: KubeClient
  clock: Clock
  namespace: string
  trustDomain: string
}

/** What came of looking after the issuer. */
export type RenewalOutcome = 'not-due' | 'renewed' | 'renewed-by-another' | 'anchor-key-not-here'

/**
 * Renews the issuer when it nears its end and the cluster keeps the key of the anchor it stands under. Every replica
 * may try: the Secret's version lets one win.
 */
export async function renewIssuer(
  options: RenewalOptions,
  issuer: Issuer,
  rootsPem: string,
): Promise<RenewalOutcome> {
  const { kube, clock, namespace } = options
  if (!isRenewalDue(issuer.certificate, clock.nowMs())) return 'not-due'
  const anchor = await readAnchor(kube, namespace)
  if (anchor === undefined || !anchor.certificate.der.equals(issuer.anchor.der)) return 'anchor-key-not-here'
  // An issuer cannot outlive its anchor: near that one's end a new issuer would gain nothing.
  if (anchor.certificate.notAfterMs <= issuer.certificate.notAfterMs) return 'anchor-key-not-here'
  const stored = await kube.read<Secret>(resources.secrets, issuerSecretName, namespace)
  if (stored === undefined) return 'renewed-by-another'
  const secret = tlsSecret(issuerSecretName, namespace, newIssuer(anchor, options), rootsPem)
  try {
    await kube.replace<Secret>(resources.secrets, {
      ...stored,
      data: { ...secret.data },
      metadata: { ...stored.metadata, labels: { ...stored.metadata.labels, ...secret.metadata.labels } },
    })
    return 'renewed'
  } catch (error) {
    if (error instanceof KubeError && error.status === 409) return 'renewed-by-another'
    throw error
  }
}
