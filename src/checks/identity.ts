import { resources } from '../runtime/kube/resources.ts'
import { type Certificate, parseCertificates } from '../runtime/pki/certificate.ts'
import { verifyChain } from '../runtime/pki/chain.ts'
import type { ConfigMapObject, SecretObject } from './shapes.ts'
import { type Category, type Check, type CheckContext, CheckFailure } from './types.ts'

const dayMs = 86_400_000
/** What Linkerd calls soon. */
const soonMs = 60 * dayMs

/** The trust anchors that proxies are given. */
export async function trustAnchorText({ cluster, controlPlaneNamespace }: CheckContext): Promise<string> {
  const name = 'linkerd-identity-trust-roots'
  const roots = await cluster.read<ConfigMapObject>(resources.configMaps, name, controlPlaneNamespace)
  const bundle = roots?.data?.['ca-bundle.crt']
  if (bundle === undefined) {
    throw new CheckFailure(`the ConfigMap ${controlPlaneNamespace}/${name} has no ca-bundle.crt`)
  }
  return bundle
}

async function trustAnchors(context: CheckContext): Promise<Certificate[]> {
  return parseCertificates(await trustAnchorText(context))
}

/** The issuer and what is between it and the anchors. */
async function issuerChain({ cluster, controlPlaneNamespace }: CheckContext): Promise<Certificate[]> {
  const name = 'linkerd-identity-issuer'
  const secret = await cluster.read<SecretObject>(resources.secrets, name, controlPlaneNamespace)
  const encoded = secret?.data?.['tls.crt'] ?? secret?.data?.['crt.pem']
  if (encoded === undefined) {
    throw new CheckFailure(`the Secret ${controlPlaneNamespace}/${name} has no tls.crt`)
  }
  return parseCertificates(Buffer.from(encoded, 'base64').toString('utf8'))
}

/** Fails for the first certificate that a test has something against. */
function each(
  read: (context: CheckContext) => Promise<Certificate[]>,
  problem: (certificate: Certificate, nowMs: number) => string | undefined,
): Check['run'] {
  return async (context) => {
    for (const certificate of await read(context)) {
      const found = problem(certificate, context.clock.nowMs())
      if (found !== undefined) throw new CheckFailure(`${describe(certificate)}: ${found}`)
    }
  }
}

function describe(certificate: Certificate): string {
  return `${certificate.commonName ?? 'certificate'} (serial ${certificate.serial})`
}

const issuerOnly = async (context: CheckContext) => (await issuerChain(context)).slice(0, 1)

function keyKind({ publicKey }: Certificate): string {
  const details = publicKey.asymmetricKeyDetails
  return publicKey.asymmetricKeyType === 'ec'
    ? `EC ${details?.namedCurve ?? ''}`
    : `${publicKey.asymmetricKeyType ?? 'unknown'} ${details?.modulusLength ?? ''}`.trim()
}

const isP256 = (certificate: Certificate) => keyKind(certificate) === 'EC prime256v1'

function anchorKeyProblem(certificate: Certificate): string | undefined {
  const kind = keyKind(certificate)
  if (isP256(certificate) || kind === 'rsa 2048' || kind === 'rsa 4096') return undefined
  return `its key is ${kind}; it must be ECDSA P-256, RSA 2048 or RSA 4096`
}

function validityProblem(certificate: Certificate, nowMs: number): string | undefined {
  if (nowMs < certificate.notBeforeMs) return `not valid before ${isoTime(certificate.notBeforeMs)}`
  if (nowMs >= certificate.notAfterMs) return `expired on ${isoTime(certificate.notAfterMs)}`
  return undefined
}

function soonProblem(certificate: Certificate, nowMs: number): string | undefined {
  const leftMs = certificate.notAfterMs - nowMs
  if (leftMs >= soonMs) return undefined
  return `expires on ${isoTime(certificate.notAfterMs)}, in ${Math.floor(leftMs / dayMs)} days`
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000', '')
}

const anchorFix = 'kubectl -n linkerd get configmap linkerd-identity-trust-roots -o yaml'
const issuerFix = 'kubectl -n linkerd logs deploy/linkerd-identity -c identity'

/** Whether the certificate authority can be trusted, now and for a while. */
export const identity: Category = {
  id: 'linkerd-identity',
  checks: [
    {
      code: 'MESH_CHECK_CERTIFICATES',
      description: 'certificate config is valid',
      anchor: 'l5d-identity-cert-config-valid',
      isFatal: true,
      isRetried: true,
      fix: issuerFix,
      run: async (context) => {
        await trustAnchors(context)
        await issuerChain(context)
      },
    },
    {
      code: 'MESH_CHECK_ANCHOR_KEY',
      description: 'trust anchors are using supported crypto algorithm',
      anchor: 'l5d-identity-trustAnchors-use-supported-crypto',
      isFatal: true,
      fix: anchorFix,
      run: each(trustAnchors, anchorKeyProblem),
    },
    {
      code: 'MESH_CHECK_ANCHOR_VALIDITY',
      description: 'trust anchors are within their validity period',
      anchor: 'l5d-identity-trustAnchors-are-time-valid',
      isFatal: true,
      fix: anchorFix,
      run: each(trustAnchors, validityProblem),
    },
    {
      code: 'MESH_CHECK_ANCHOR_EXPIRY',
      description: 'trust anchors are valid for at least 60 days',
      anchor: 'l5d-identity-trustAnchors-not-expiring-soon',
      isWarning: true,
      fix: anchorFix,
      run: each(trustAnchors, soonProblem),
    },
    {
      code: 'MESH_CHECK_ISSUER_KEY',
      description: 'issuer cert is using supported crypto algorithm',
      anchor: 'l5d-identity-issuer-cert-uses-supported-crypto',
      isFatal: true,
      fix: issuerFix,
      run: each(issuerOnly, (certificate) =>
        isP256(certificate) ? undefined : `its key is ${keyKind(certificate)}; it must be ECDSA P-256`,
      ),
    },
    {
      code: 'MESH_CHECK_ISSUER_VALIDITY',
      description: 'issuer cert is within its validity period',
      anchor: 'l5d-identity-issuer-cert-is-time-valid',
      isFatal: true,
      fix: issuerFix,
      run: each(issuerOnly, validityProblem),
    },
    {
      code: 'MESH_CHECK_ISSUER_EXPIRY',
      description: 'issuer cert is valid for at least 60 days',
      anchor: 'l5d-identity-issuer-cert-not-expiring-soon',
      isWarning: true,
      fix: issuerFix,
      run: each(issuerOnly, soonProblem),
    },
    {
      code: 'MESH_CHECK_ISSUER_CHAIN',
      description: 'issuer cert is issued by the trust anchor',
      anchor: 'l5d-identity-issuer-cert-issued-by-trust-anchor',
      fix: issuerFix,
      run: async (context) => {
        verifyChain(await issuerChain(context), await trustAnchors(context), context.clock.nowMs())
      },
    },
  ],
}

/** Whether every meshed pod trusts the authority that issues today. */
export const dataPlaneIdentity: Category = {
  id: 'linkerd-identity-data-plane',
  checks: [
    {
      code: 'MESH_CHECK_PROXY_ANCHORS',
      description: 'data plane proxies certificate match CA',
      anchor: 'l5d-identity-data-plane-proxies-certs-match-ca',
      isWarning: true,
      fix: 'kubectl rollout restart the workloads named above',
      run: async (context) => {
        const expected = (await trustAnchorText(context)).trim()
        const pods = await context.cluster.meshedPods(
          context.controlPlaneNamespace,
          context.dataPlaneNamespace,
        )
        const others = pods.filter((pod) => {
          const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
          const variable = containers
            .find(({ name }) => name === 'linkerd-proxy')
            ?.env?.find(({ name }) => name === 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS')
          return variable?.value !== undefined && variable.value.trim() !== expected
        })
        if (others.length > 0) {
          const names = others.map((pod) => `${pod.metadata.namespace}/${pod.metadata.name}`)
          throw new CheckFailure(`other trust anchors in: ${names.join(', ')}`)
        }
      },
    },
  ],
}
