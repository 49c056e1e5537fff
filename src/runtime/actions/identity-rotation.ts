import { createHash } from 'node:crypto'
import { resources } from '../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject } from '../kube/types.ts'
import { parseCertificates } from '../pki/certificate.ts'
import type { Clock } from '../shared/clock.ts'
import { MeshError } from '../shared/errors.ts'
import {
  type IdentityStatus,
  identityStatusKey,
  identityStatusName,
  parseIdentityStatus,
  type RotationStage,
  rotateAnnotation,
} from '../shared/identity-status.ts'

/** What the certificate authority is at. */
export interface AuthorityState {
  stage: RotationStage
  /** When the stage began, RFC 3339. */
  since: string
  /** What is waited for, in words; absent when nothing is. */
  waitingFor?: string
  proxies?: IdentityStatus['proxies']
  retireAt?: string
  rotatedAt?: string
  /** Why the last request was refused. */
  refusal?: string
  certificates: AuthorityCertificate[]
}

export interface AuthorityCertificate {
  what: 'trust anchor' | 'new trust anchor' | 'old trust anchor' | 'issuer'
  subject: string
  validUntil: string
  /** Of its DER, hexadecimal. */
  sha256: string
}

interface Holder extends KubeObject {
  data?: Record<string, string>
}

/**
 * Reads the state of the certificate authority.
 * @throws MeshError `MESH_IDENTITY_NO_STATUS`
 */
export async function authorityState(client: KubeClient, namespace: string): Promise<AuthorityState> {
  const { status } = await readStatus(client, namespace)
  const roots = await client.read<Holder>(resources.configMaps, 'linkerd-identity-trust-roots', namespace)
  const issuer = await client.read<Holder>(resources.secrets, 'linkerd-identity-issuer', namespace)
  const anchors = certificatesIn(roots?.data?.['ca-bundle.crt'] ?? '', ({ sha256 }) => roleOf(sha256, status))
  const issuerPem = Buffer.from(issuer?.data?.['tls.crt'] ?? '', 'base64').toString('utf8')
  const { stage, since, proxies, retireAt, rotatedAt, refusal } = status
  const waitingFor = waitingText(status)
  return {
    stage,
    since,
    ...(waitingFor === undefined ? {} : { waitingFor }),
    ...(proxies === undefined ? {} : { proxies }),
    ...(retireAt === undefined ? {} : { retireAt }),
    ...(rotatedAt === undefined ? {} : { rotatedAt }),
    ...(refusal === undefined ? {} : { refusal }),
    certificates: [...anchors, ...certificatesIn(issuerPem, () => 'issuer').slice(0, 1)],
  }
}

/**
 * Asks for a rotation of the trust anchor.
 * @returns what the request is known by
 * @throws MeshError `MESH_IDENTITY_NO_STATUS`
 */
export async function requestRotation(client: KubeClient, namespace: string, id: string): Promise<string> {
  const patch = { metadata: { annotations: { [rotateAnnotation]: id } } }
  try {
    await client.mergePatch(resources.configMaps, identityStatusName, patch, { namespace })
    return id
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) throw noStatus(namespace, error)
    throw error
  }
}

const pollMs = 500

/**
 * Waits until a request was answered.
 * @param onStage told of each stage, and of each change within one
 * @throws MeshError `MESH_IDENTITY_ROTATION_REFUSED`, `MESH_IDENTITY_ROTATION_TIMEOUT`
 */
export async function awaitRotation(
  deps: { client: KubeClient; clock: Clock },
  options: { namespace: string; request: string; timeoutMs: number },
  onStage: (text: string) => void,
): Promise<void> {
  const { client, clock } = deps
  const endMs = clock.nowMs() + options.timeoutMs
  let told = ''
  for (;;) {
    const { status } = await readStatus(client, options.namespace)
    if (status.answered === options.request) {
      if (status.refusal === undefined) return
      throw refused(status.refusal)
    }
    const text = `${status.stage}: ${waitingText(status) ?? 'about to begin'}`
    if (text !== told) onStage(text)
    told = text
    if (clock.nowMs() >= endMs) throw timedOut(text)
    await clock.sleep(pollMs)
  }
}

/** What a stage waits for. */
function waitingText({ stage, proxies, retireAt }: IdentityStatus): string | undefined {
  switch (stage) {
    case 'idle':
      return undefined
    case 'distribute':
      return proxies === undefined
        ? 'the new anchor is handed out'
        : `${proxies.acknowledged} of ${proxies.live} proxies have the new anchor`
    case 'issue':
      return 'certificates come from the new anchor'
    case 'retire':
      return `certificates under the old anchor end by ${retireAt ?? 'and by'}`
  }
}

async function readStatus(client: KubeClient, namespace: string): Promise<{ status: IdentityStatus }> {
  const stored = await client.read<Holder>(resources.configMaps, identityStatusName, namespace)
  const status = parseIdentityStatus(stored?.data?.[identityStatusKey])
  if (status === undefined) throw noStatus(namespace)
  return { status }
}

function roleOf(
  sha256: string,
  { stage, oldAnchor, newAnchor }: IdentityStatus,
): AuthorityCertificate['what'] {
  if (stage === 'idle') return 'trust anchor'
  if (sha256 === newAnchor) return 'new trust anchor'
  return sha256 === oldAnchor ? 'old trust anchor' : 'trust anchor'
}

function certificatesIn(
  pem: string,
  whatOf: (known: { sha256: string }) => AuthorityCertificate['what'],
): AuthorityCertificate[] {
  if (pem.trim() === '') return []
  return parseCertificates(pem).map(({ der, commonName, notAfterMs }) => {
    const sha256 = createHash('sha256').update(der).digest('hex')
    const validUntil = new Date(notAfterMs).toISOString().replace(/\.\d+Z$/, 'Z')
    return { what: whatOf({ sha256 }), subject: commonName ?? '', validUntil, sha256 }
  })
}

function noStatus(namespace: string, cause?: unknown): MeshError {
  return new MeshError({
    code: 'MESH_IDENTITY_NO_STATUS',
    kind: 'environment',
    message: `The certificate authority in namespace ${namespace} does not say how it is`,
    reason: `ConfigMap ${identityStatusName} is missing or cannot be read: identity makes it when it starts`,
    next: ['mesh check', `kubectl -n ${namespace} logs deploy/linkerd-identity -c identity`],
    ...(cause === undefined ? {} : { cause }),
  })
}

function refused(reason: string): MeshError {
  return new MeshError({
    code: 'MESH_IDENTITY_ROTATION_REFUSED',
    kind: 'environment',
    message: 'The trust anchor was not rotated',
    reason,
    next: ['mesh identity status   # shows anchors and issuer'],
  })
}

function timedOut(stage: string): MeshError {
  return new MeshError({
    code: 'MESH_IDENTITY_ROTATION_TIMEOUT',
    kind: 'environment',
    message: 'The rotation of the trust anchor is not over yet',
    reason: `It is at ${stage}. It goes on by itself.`,
    next: ['mesh identity status   # shows what it waits for'],
  })
}
