import { createTrustAnchor, issueLeaf } from '../pki/authority.ts'
import { generateKey, privateKeyPem } from '../pki/keys.ts'
import { toPem } from '../pki/pem.ts'
import { addresses, clusterDomain, nodeName } from './addresses.ts'

/** A certificate and its key, both PEM. */
export interface PemPair {
  certificate: string
  privateKey: string
}

/** The certificates of one cluster. They live as long as the cluster does, in memory and in its kubeconfig. */
export interface ClusterPki {
  /** PEM of the cluster's authority. */
  authority: string
  server: PemPair
  /** Client certificate of the cluster's administrator. */
  admin: PemPair
}

const lifetimeMs = 365 * 24 * 3600 * 1000
/** Clocks of clients may be behind. */
const skewMs = 5 * 60 * 1000

/** Makes new certificates. */
export function createClusterPki(nowMs: number): ClusterPki {
  const validity = { notBeforeMs: nowMs - skewMs, notAfterMs: nowMs + lifetimeMs }
  const authority = createTrustAnchor('mesh-local', validity)
  const issue = (request: Omit<Parameters<typeof issueLeaf>[1], 'publicKey' | keyof typeof validity>) => {
    const { publicKey, privateKey } = generateKey()
    const der = issueLeaf(authority, { ...request, ...validity, publicKey })
    return { certificate: toPem('CERTIFICATE', der), privateKey: privateKeyPem(privateKey) }
  }
  return {
    authority: toPem('CERTIFICATE', authority.certificate.der),
    server: issue({
      subject: { commonName: 'kube-apiserver' },
      dnsNames: [
        'localhost',
        nodeName,
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        `kubernetes.default.svc.${clusterDomain}`,
      ],
      ipAddresses: ['127.0.0.1', addresses.apiService, addresses.node],
      purposes: ['server'],
    }),
    admin: issue({
      subject: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
      purposes: ['client'],
    }),
  }
}

/**
 * A kubeconfig for the administrator, as JSON, which is YAML.
 * @param name of cluster, user and context
 * @param server such as `https://127.0.0.1:6443`
 */
export function renderKubeconfig(name: string, server: string, pki: ClusterPki): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(pki.authority) } }],
    users: [
      {
        name,
        user: {
          'client-certificate-data': base64(pki.admin.certificate),
          'client-key-data': base64(pki.admin.privateKey),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
  return `${JSON.stringify(config, undefined, 2)}\n`
}
