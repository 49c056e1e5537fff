import { startInformer } from '../../kube/informer.ts'
import { resources } from '../../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from '../../kube/types.ts'
import { parseCertificates } from '../../pki/certificate.ts'
import { verifyChain } from '../../pki/chain.ts'
import { parsePrivateKey } from '../../pki/keys.ts'
import { createServingCertificate, type ServingCertificate } from '../../pki/serving-certificate.ts'
import type { Clock } from '../../shared/clock.ts'
import { annotations, labels } from '../../shared/labels.ts'
import type { Logger } from '../../shared/logger.ts'

/** What a webhook is called on the cluster. */
export interface WebhookNames {
  /** The Service that the API server calls; the certificate is for it. */
  service: string
  /** Where the certificate is kept. */
  secret: string
  /** The configuration that must trust the certificate. */
  configuration: { resource: Resource; name: string }
  /** Value of `linkerd.io/control-plane-component`. */
  component: string
}

const lifetimeMs = 365 * 86_400_000
const backdateMs = 3_600_000
const checkPeriodMs = 3_600_000
const retryPeriodMs = 5_000
const raceRetryMs = 200

interface Secret extends KubeObject {
  type?: string
  data?: Record<string, string>
}

interface WebhookConfiguration extends KubeObject {
  webhooks?: {
    name: string
    clientConfig: { caBundle?: string; [field: string]: unknown }
    [field: string]: unknown
  }[]
}

export interface CertificateOptions {
  kube: KubeClient
  names: WebhookNames
  namespace: string
  clock: Clock
  signal: AbortSignal
  logger: Logger
  /** Serves with the certificate from now on. */
  use: (certificate: ServingCertificate) => void
}

/**
 * Looks after the webhook's certificate until the signal aborts: makes one if there is none, renews its own when a
 * third of its life is left, and keeps the webhook configuration trusting what is served. Replicas share the Secret;
 * who comes second takes the first one's.
 */
export async function keepCertificate(options: CertificateOptions): Promise<void> {
  const { clock, signal, logger, kube, namespace, names } = options
  const onError = (error: unknown) => logger.warn({ err: error }, 'watch')
  const watching = { clock, signal, onError }
  const secrets = startInformer<Secret>(kube, resources.secrets, {
    ...watching,
    namespace,
    fieldSelector: `metadata.name=${names.secret}`,
  })
  const configurations = startInformer<WebhookConfiguration>(kube, names.configuration.resource, {
    ...watching,
    fieldSelector: `metadata.name=${names.configuration.name}`,
  })
  let wake = () => {}
  secrets.onChange(() => wake())
  configurations.onChange(() => wake())
  let inUse = ''
  await Promise.allSettled([secrets.synced, configurations.synced])
  while (!signal.aborted) {
    const woken = new AbortController()
    wake = () => woken.abort(new Error('changed'))
    let waitMs = checkPeriodMs
    try {
      const certificate = await ensureCertificate(options, secrets.get(namespace, names.secret))
      // First trust, then serve: otherwise the API server would meet a certificate that it does not know.
      await ensureTrusted(options, configurations.get(undefined, names.configuration.name), certificate)
      if (certificate.certificatePem !== inUse) {
        options.use(certificate)
        inUse = certificate.certificatePem
        logger.info('serving with a new certificate')
      }
    } catch (error) {
      // Somebody else changed the object at the same time; what came of it is read again.
      const isRace = error instanceof KubeError && error.status === 409
      if (!isRace) logger.warn({ err: error }, 'the certificate of the webhook could not be looked after')
      waitMs = isRace ? raceRetryMs : retryPeriodMs
    }
    await clock.sleep(waitMs, AbortSignal.any([signal, woken.signal])).catch(() => {})
  }
}

/** The certificate to serve with. */
async function ensureCertificate(
  options: CertificateOptions,
  known: Secret | undefined,
): Promise<ServingCertificate> {
  const { kube, namespace, clock, logger, names } = options
  const present = known ?? (await kube.read<Secret>(resources.secrets, names.secret, namespace))
  const current = servingCertificateOf(present)
  const isOwn = present?.metadata.annotations?.[annotations.createdBy] === ownMark(names)
  if (current !== undefined && !isRenewalDue(current, clock.nowMs())) return current
  if (current !== undefined && !isOwn) {
    logger.warn(
      { secret: names.secret },
      'the certificate of the webhook nears its end, and was made by someone else',
    )
    return current
  }
  const made = createServingCertificate(names.service, namespace, {
    notBeforeMs: clock.nowMs() - backdateMs,
    notAfterMs: clock.nowMs() + lifetimeMs,
  })
  // Replicas that have not heard yet still serve with the old one.
  const bundle = made.authorityPem + (current === undefined ? '' : firstOf(current.authorityPem))
  return servingCertificateOf(await store(options, present, { ...made, authorityPem: bundle })) ?? made
}

/** Marks Secrets that the controller made: others it never writes to. */
function ownMark({ component }: WebhookNames): string {
  return `mesh/${component}`
}

async function store(
  { kube, namespace, names }: CertificateOptions,
  present: Secret | undefined,
  certificate: ServingCertificate,
): Promise<Secret | undefined> {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const secret: Secret = {
    metadata: {
      name: names.secret,
      namespace,
      ...(present?.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: present.metadata.resourceVersion }),
      annotations: { [annotations.createdBy]: ownMark(names) },
      labels: { [labels.controlPlaneComponent]: names.component, [labels.controlPlaneNamespace]: namespace },
    },
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(certificate.certificatePem),
      'tls.key': base64(certificate.privateKeyPem),
      'ca.crt': base64(certificate.authorityPem),
    },
  }
  try {
    return present === undefined
      ? await kube.create(resources.secrets, secret)
      : await kube.replace(resources.secrets, secret)
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 409) throw error
    return await kube.read<Secret>(resources.secrets, names.secret, namespace)
  }
}

/** Makes the configuration trust the certificate, unless it does so already, by whatever bundle. */
async function ensureTrusted(
  { kube, logger, names }: CertificateOptions,
  configuration: WebhookConfiguration | undefined,
  certificate: ServingCertificate,
): Promise<void> {
  const webhooks = configuration?.webhooks ?? []
  if (webhooks.every(({ clientConfig }) => trusts(clientConfig.caBundle, certificate))) return
  const caBundle = Buffer.from(certificate.authorityPem).toString('base64')
  const patch = {
    // A change by someone else meanwhile must not be undone.
    metadata: { resourceVersion: configuration?.metadata.resourceVersion },
    webhooks: webhooks.map((webhook) => ({
      ...webhook,
      clientConfig: { ...webhook.clientConfig, caBundle },
    })),
  }
  await kube.mergePatch(names.configuration.resource, names.configuration.name, patch)
  logger.info(
    { configuration: names.configuration.name },
    'wrote the bundle that the API server verifies the webhook by',
  )
}

/** Whether the bundle leads to the certificate. Time does not matter here: a new bundle would not mend a clock. */
function trusts(caBundle: string | undefined, certificate: ServingCertificate): boolean {
  if (caBundle === undefined || caBundle === '') return false
  const bundlePem = Buffer.from(caBundle, 'base64').toString('utf8')
  // What would be written again and again would never be better.
  if (bundlePem === certificate.authorityPem) return true
  try {
    const chain = parseCertificates(certificate.certificatePem)
    verifyChain(chain, parseCertificates(bundlePem), chain[0]?.notBeforeMs ?? 0)
    return true
  } catch {
    return false
  }
}

/** What a Secret holds, if it can be served with. */
function servingCertificateOf(secret: Secret | undefined): ServingCertificate | undefined {
  const field = (name: string) => Buffer.from(secret?.data?.[name] ?? '', 'base64').toString('utf8')
  const [certificatePem, privateKeyPem] = [field('tls.crt'), field('tls.key')]
  try {
    const chain = parseCertificates(certificatePem)
    if (chain[0]?.belongsTo(parsePrivateKey(privateKeyPem)) !== true) return undefined
    // Without an authority beside it the certificate vouches for itself.
    return { certificatePem, privateKeyPem, authorityPem: field('ca.crt') || (chain.at(-1)?.toPem() ?? '') }
  } catch {
    return undefined
  }
}

function isRenewalDue(certificate: ServingCertificate, nowMs: number): boolean {
  const [leaf] = parseCertificates(certificate.certificatePem)
  return leaf === undefined || leaf.notAfterMs - nowMs < (leaf.notAfterMs - leaf.notBeforeMs) / 3
}

function firstOf(bundlePem: string): string {
  return parseCertificates(bundlePem)[0]?.toPem() ?? ''
}
