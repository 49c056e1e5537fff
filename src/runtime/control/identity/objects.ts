import type { KubeObject } from '../../kube/types.ts'
import { labels } from '../../shared/labels.ts'

/** The anchor's certificate and key. Absent when someone else keeps the anchor. */
export const anchorSecretName = 'linkerd-identity-trust-anchor'
/** The anchor that follows it, while a rotation is under way. */
export const nextAnchorSecretName = 'linkerd-identity-trust-anchor-next'
/** Which proxies use the bundle, as each replica of identity sees it, while a rotation is under way. */
export const acknowledgementsName = 'linkerd-identity-acknowledgements'
/** The issuer's certificate and key. */
export const issuerSecretName = 'linkerd-identity-issuer'
/** The bundle of trust anchors that proxies are given. */
export const rootsConfigMapName = 'linkerd-identity-trust-roots'
export const rootsKey = 'ca-bundle.crt'

/** `v1` Secret; values are base64. */
export interface Secret extends KubeObject {
  type?: string
  data?: Record<string, string>
}

/** `v1` ConfigMap. */
export interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

/** A certificate and its key, PEM. */
export interface TlsPair {
  certificatePem: string
  privateKeyPem: string
}

/** What a Secret of type `kubernetes.io/tls` (or of Linkerd's older layout, `crt.pem` and `key.pem`) holds. */
export function tlsPairOf(secret: Secret | undefined): TlsPair | undefined {
  const field = (...names: string[]) => {
    const value = names.map((name) => secret?.data?.[name]).find((text) => text !== undefined && text !== '')
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8')
  }
  const certificatePem = field('tls.crt', 'crt.pem')
  const privateKeyPem = field('tls.key', 'key.pem')
  if (certificatePem === undefined || privateKeyPem === undefined) return undefined
  return { certificatePem, privateKeyPem }
}

/** A Secret of type `kubernetes.io/tls`. */
export function tlsSecret(name: string, namespace: string, pair: TlsPair, caPem?: string): Secret {
  const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64')
  return {
    metadata: { name, namespace, labels: identityLabels(namespace) },
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(pair.certificatePem),
      'tls.key': base64(pair.privateKeyPem),
      ...(caPem === undefined ? {} : { 'ca.crt': base64(caPem) }),
    },
  }
}

export function identityLabels(namespace: string): Record<string, string> {
  return { [labels.controlPlaneComponent]: 'identity', [labels.controlPlaneNamespace]: namespace }
}
