import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { type Certificate, parseCertificates } from '../pki/certificate.ts'
import { messageOf } from '../shared/errors.ts'
import { labels, proxyContainerName } from '../shared/labels.ts'
import { containerOf, getFromPod, type PodObject, podsOf } from './pods-of.ts'

/** The certificate of one proxy, as the proxy itself tells it. */
export interface ProxyCertificate {
  namespace: string
  pod: string
  identity: string
  /** RFC 3339; absent when the proxy has none, or does not answer. */
  validUntil?: string
  /** How often it was renewed. */
  refreshes?: number
  error?: string
}

/** A metric of the proxy that has one series. */
function metric(text: string, name: string): number | undefined {
  const match = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, 'm').exec(text)
  return match === null ? undefined : Number(match[1])
}

/** Identity of a pod, as the installation named it. */
function identityOf(pod: PodObject): string {
  const env = new Map(containerOf(pod, proxyContainerName)?.env?.map(({ name, value }) => [name, value]))
  const [namespace, domain] = [
    env.get('_l5d_ns') ?? 'linkerd',
    env.get('_l5d_trustdomain') ?? 'cluster.local',
  ]
  const account = pod.spec?.serviceAccountName ?? 'default'
  return `${account}.${pod.metadata.namespace}.serviceaccount.identity.${namespace}.${domain}`
}

/**
 * The certificates of proxies: of the named resources, or of every meshed pod of a namespace.
 * @throws MeshError `MESH_RESOURCE_NOT_FOUND`, `MESH_VIZ_RESOURCE`
 */
export async function proxyCertificates(
  client: KubeClient,
  options: { words: readonly string[]; namespace: string; labelSelector?: string },
): Promise<ProxyCertificate[]> {
  const selector = [labels.controlPlaneNamespace, options.labelSelector].filter(Boolean).join(',')
  const pods =
    options.words.length > 0
      ? (await Promise.all(options.words.map((word) => podsOf(client, word, options.namespace)))).flat()
      : (
          await client.list<PodObject>(resources.pods, {
            namespace: options.namespace,
            labelSelector: selector,
          })
        ).items
  const meshed = pods.filter((pod) => containerOf(pod, proxyContainerName) !== undefined)
  return await Promise.all(meshed.map((pod) => certificateOf(client, pod)))
}

async function certificateOf(client: KubeClient, pod: PodObject): Promise<ProxyCertificate> {
  const named = {
    namespace: pod.metadata.namespace ?? '',
    pod: pod.metadata.name,
    identity: identityOf(pod),
  }
  try {
    const ports = containerOf(pod, proxyContainerName)?.ports
    const admin = ports?.find(({ name }) => name === 'linkerd-admin')?.containerPort ?? 4191
    const text = await getFromPod(client, pod, admin, '/metrics')
    const untilS = metric(text, 'identity_cert_expiration_timestamp_seconds')
    const refreshes = metric(text, 'identity_cert_refresh_count(?:_total)?')
    return {
      ...named,
      ...(untilS === undefined || untilS === 0 ? {} : { validUntil: timeText(untilS * 1000) }),
      ...(refreshes === undefined ? {} : { refreshes }),
    }
  } catch (thrown) {
    return { ...named, error: messageOf(thrown) }
  }
}

/** RFC 3339 in whole seconds. */
function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** One certificate of the control plane, and when it ends. */
export interface Forecast {
  what: 'trust anchor' | 'issuer' | 'webhook proxy-injector'
  subject: string
  validUntil: string
  /** Whole days from now; negative when it has ended. */
  days: number
}

interface Holder extends KubeObject {
  data?: Record<string, string>
}

/**
 * When the certificates of the control plane end. What cannot be found is left out: `mesh check` says why.
 * @param horizonMs only what ends within this time from now
 */
export async function forecast(
  client: KubeClient,
  namespace: string,
  nowMs: number,
  horizonMs: number,
): Promise<Forecast[]> {
  const roots = await client.read<Holder>(resources.configMaps, 'linkerd-identity-trust-roots', namespace)
  const issuer = await client.read<Holder>(resources.secrets, 'linkerd-identity-issuer', namespace)
  const webhook = await client.read<Holder>(resources.secrets, 'linkerd-proxy-injector-k8s-tls', namespace)
  const found: [Forecast['what'], Certificate][] = [
    ...certificatesIn(roots?.data?.['ca-bundle.crt']).map((anchor) => ['trust anchor', anchor] as const),
    ...leafIn(issuer).map((leaf) => ['issuer', leaf] as const),
    ...leafIn(webhook).map((leaf) => ['webhook proxy-injector', leaf] as const),
  ].map(([what, certificate]) => [what, certificate])
  return found
    .filter(([, { notAfterMs }]) => notAfterMs - nowMs <= horizonMs)
    .map(([what, { commonName, names, notAfterMs }]) => ({
      what,
      subject: commonName ?? names.dnsNames[0] ?? '',
      validUntil: timeText(notAfterMs),
      days: Math.floor((notAfterMs - nowMs) / 86_400_000),
    }))
    .sort((a, b) => a.days - b.days)
}

function certificatesIn(pem: string | undefined): Certificate[] {
  return pem === undefined ? [] : parseCertificates(pem)
}

/** The first certificate of a Secret of type `kubernetes.io/tls`. */
function leafIn(secret: Holder | undefined): Certificate[] {
  const encoded = secret?.data?.['tls.crt']
  return encoded === undefined
    ? []
    : certificatesIn(Buffer.from(encoded, 'base64').toString('utf8')).slice(0, 1)
}
