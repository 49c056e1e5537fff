import { resources } from '../../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from '../../kube/types.ts'
import { type Authority, createIssuer, createTrustAnchor } from '../../pki/authority.ts'
import { parseCertificates } from '../../pki/certificate.ts'
import { parsePrivateKey, privateKeyPem } from '../../pki/keys.ts'
import type { Clock } from '../../shared/clock.ts'
import { MeshError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import type { ControllerDeps } from '../deps.ts'
import {
  anchorSecretName,
  type ConfigMap,
  identityLabels,
  issuerSecretName,
  rootsConfigMapName,
  rootsKey,
  type Secret,
  type TlsPair,
  tlsPairOf,
  tlsSecret,
} from './objects.ts'
import { readIssuer } from './reconcile.ts'

export interface BootstrapOptions {
  kube: KubeClient
  clock: Clock
  logger: Logger
  /** Of the control plane. */
  namespace: string
  trustDomain: string
}

const dayMs = 86_400_000
/** Long enough to outlive a cluster: replacing it means to reach every proxy. */
export const anchorLifetimeMs = 3650 * dayMs
/** Renewed after two thirds, without anyone noticing. */
export const issuerLifetimeMs = 365 * dayMs
/** Authorities are valid from a while ago, for nodes whose clocks are behind. */
export const backdateMs = 3_600_000
const maxRetryMs = 30_000

/** Runs the job, and waits for the API while it is out of reach. */
export async function run(deps: ControllerDeps): Promise<void> {
  const options = {
    kube: deps.kube,
    clock: deps.clock,
    logger: deps.logger,
    namespace: deps.flags.controllerNamespace,
    trustDomain: deps.flags.identityTrustDomain,
  }
  for (let delayMs = 500; ; delayMs = Math.min(maxRetryMs, delayMs * 2)) {
    try {
      return await bootstrapIdentity(options)
    } catch (error) {
      const isPassing = MeshError.from(error).code === 'MESH_KUBE_UNREACHABLE' || isServerTrouble(error)
      if (!isPassing) throw error
      deps.logger.warn({ err: error }, 'the API is not there yet')
      await deps.clock.sleep(delayMs, deps.signal)
    }
  }
}

function isServerTrouble(error: unknown): boolean {
  return error instanceof KubeError && (error.status >= 500 || error.status === 429)
}

/**
 * Sees to it that the mesh has a trust anchor, an issuer, and the bundle that proxies are given. What is there stays,
 * wherever it came from. Any number may run at a time: each object is created by one, and the others take that one.
 * @throws MeshError `MESH_IDENTITY_ISSUER_MISSING`, `MESH_IDENTITY_ISSUER_INVALID`
 */
export async function bootstrapIdentity(options: BootstrapOptions): Promise<void> {
  const { kube, namespace, logger } = options
  const issuerSecret = await kube.read<Secret>(resources.secrets, issuerSecretName, namespace)
  const roots = await kube.read<ConfigMap>(resources.configMaps, rootsConfigMapName, namespace)
  const pair = tlsPairOf(issuerSecret)
  if (pair !== undefined) {
    const bundle = bundleOf(roots) ?? (await createRoots(options, bundleForGivenIssuer(issuerSecret, pair)))
    if (!isExpired(pair, options.clock.nowMs())) {
      readIssuer(pair, bundle, options.clock.nowMs())
      logger.info('the issuer is there')
      return
    }
  }
  const anchor = await ensureAnchor(options, bundleOf(roots) !== undefined)
  const bundle = await ensureInBundle(options, anchor)
  const made = newIssuer(anchor, options)
  const secret = tlsSecret(issuerSecretName, namespace, made, bundle)
  const stored =
    issuerSecret === undefined
      ? await createOrRead(kube, resources.secrets, secret)
      : await kube.replace(resources.secrets, {
          ...secret,
          metadata: { ...issuerSecret.metadata, labels: identityLabels(namespace) },
        })
  readIssuer(tlsPairOf(stored) ?? made, bundle, options.clock.nowMs())
  logger.info({ secret: issuerSecretName }, 'the mesh has an issuer')
}

/** A new issuer under the anchor. */
export function newIssuer(
  anchor: Authority,
  options: Pick<BootstrapOptions, 'clock' | 'namespace' | 'trustDomain'>,
): TlsPair {
  const nowMs = options.clock.nowMs()
  const issuer = createIssuer(anchor, `identity.${options.namespace}.${options.trustDomain}`, {
    notBeforeMs: nowMs - backdateMs,
    notAfterMs: nowMs + issuerLifetimeMs,
  })
  return { certificatePem: issuer.certificate.toPem(), privateKeyPem: privateKeyPem(issuer.privateKey) }
}

/** The anchor with its key, if the cluster keeps it. */
export async function readAnchor(kube: KubeClient, namespace: string): Promise<Authority | undefined> {
  return anchorOf(await kube.read<Secret>(resources.secrets, anchorSecretName, namespace))
}

function anchorOf(secret: Secret | undefined): Authority | undefined {
  const pair = tlsPairOf(secret)
  if (pair === undefined) return undefined
  const [certificate] = parseCertificates(pair.certificatePem)
  return certificate === undefined
    ? undefined
    : { certificate, privateKey: parsePrivateKey(pair.privateKeyPem) }
}

async function ensureAnchor(options: BootstrapOptions, isBundleGiven: boolean): Promise<Authority> {
  const { kube, namespace, clock, trustDomain, logger } = options
  const known = await readAnchor(kube, namespace)
  if (known !== undefined) return known
  if (isBundleGiven) {
    throw new MeshError({
      code: 'MESH_IDENTITY_ISSUER_MISSING',
      kind: 'environment',
      message: `There are trust anchors in ConfigMap ${rootsConfigMapName}, but no issuer that can be used`,
      reason: `Secret ${issuerSecretName} is missing or expired, and the key of an anchor is not in the cluster`,
      next: [
        `kubectl -n ${namespace} create secret tls ${issuerSecretName} --cert=issuer.crt --key=issuer.key`,
        `kubectl -n ${namespace} delete configmap ${rootsConfigMapName}   # to start with a new anchor`,
      ],
    })
  }
  const nowMs = clock.nowMs()
  const anchor = createTrustAnchor(`root.${namespace}.${trustDomain}`, {
    notBeforeMs: nowMs - backdateMs,
    notAfterMs: nowMs + anchorLifetimeMs,
  })
  const pair = { certificatePem: anchor.certificate.toPem(), privateKeyPem: privateKeyPem(anchor.privateKey) }
  const secret = tlsSecret(anchorSecretName, namespace, pair, pair.certificatePem)
  const stored = anchorOf(await createOrRead(kube, resources.secrets, secret)) ?? anchor
  logger.info({ secret: anchorSecretName }, 'the mesh has a trust anchor')
  return stored
}

/** The bundle with the anchor in it. */
async function ensureInBundle(options: BootstrapOptions, anchor: Authority): Promise<string> {
  const { kube, namespace } = options
  const pem = anchor.certificate.toPem()
  const bundle = await createRoots(options, pem)
  if (parseCertificates(bundle).some(({ der }) => der.equals(anchor.certificate.der))) return bundle
  const extended = `${bundle.trimEnd()}\n${pem}`
  await kube.mergePatch<ConfigMap>(
    resources.configMaps,
    rootsConfigMapName,
    { data: { [rootsKey]: extended } },
    { namespace },
  )
  return extended
}

/** Creates the bundle, unless there is one. @returns the one that is there */
async function createRoots(options: BootstrapOptions, pem: string): Promise<string> {
  const { kube, namespace } = options
  const metadata = { name: rootsConfigMapName, namespace, labels: identityLabels(namespace) }
  const made: ConfigMap = { metadata, data: { [rootsKey]: pem } }
  return bundleOf(await createOrRead(kube, resources.configMaps, made)) ?? pem
}

function bundleOf(roots: ConfigMap | undefined): string | undefined {
  const bundle = roots?.data?.[rootsKey]
  return bundle === undefined || bundle.trim() === '' ? undefined : bundle
}

/** For an issuer that was brought along: the `ca.crt` beside it, else the last certificate of its chain. */
function bundleForGivenIssuer(secret: Secret | undefined, pair: TlsPair): string {
  const given = secret?.data?.['ca.crt']
  if (given !== undefined && given !== '') return Buffer.from(given, 'base64').toString('utf8')
  return parseCertificates(pair.certificatePem).at(-1)?.toPem() ?? pair.certificatePem
}

function isExpired(pair: TlsPair, nowMs: number): boolean {
  const [certificate] = parseCertificates(pair.certificatePem)
  return certificate !== undefined && certificate.notAfterMs < nowMs
}

async function createOrRead<T extends KubeObject>(
  kube: KubeClient,
  resource: Resource,
  object: T,
): Promise<T> {
  try {
    return await kube.create(resource, object)
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 409) throw error
    const winner = await kube.read<T>(resource, object.metadata.name, object.metadata.namespace)
    if (winner === undefined) throw error
    return winner
  }
}
