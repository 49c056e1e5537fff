import { resources } from '../../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject } from '../../kube/types.ts'
import { type Authority, createTrustAnchor } from '../../pki/authority.ts'
import { type Certificate, parseCertificates } from '../../pki/certificate.ts'
import { parsePrivateKey, privateKeyPem } from '../../pki/keys.ts'
import type { Clock } from '../../shared/clock.ts'
import {
  type IdentityStatus,
  identityStatusKey,
  identityStatusName,
  parseIdentityStatus,
  rotateAnnotation,
} from '../../shared/identity-status.ts'
import { labels, proxyContainerName } from '../../shared/labels.ts'
import { podKeyOf, type ReplicaReport, readReports } from './acknowledgements.ts'
import { anchorLifetimeMs, backdateMs, newIssuer } from './bootstrap.ts'
import {
  anchorSecretName,
  type ConfigMap,
  identityLabels,
  issuerSecretName,
  nextAnchorSecretName,
  rootsConfigMapName,
  rootsKey,
  type Secret,
  tlsPairOf,
  tlsSecret,
} from './objects.ts'
import { readIssuer } from './reconcile.ts'
import {
  type AnchorFact,
  firstStatus,
  hashOf,
  type ProxyFact,
  planRotation,
  type RotationAct,
  type RotationFacts,
  type RotationSettings,
  revisionOf,
} from './rotation.ts'

export interface RotationOptions {
  kube: KubeClient
  clock: Clock
  namespace: string
  trustDomain: string
  /** This replica, as it signs its reports. */
  replica: string
  settings: RotationSettings
}

/** What the cluster holds, as objects. */
interface Stored {
  roots: ConfigMap | undefined
  issuer: Secret | undefined
  anchor: Secret | undefined
  next: Secret | undefined
  status: ConfigMap | undefined
  bundle: Certificate[]
}

/**
 * Takes a rotation one step on: makes something in the cluster, or remembers what was seen. Only the leader may.
 * @returns the status, and whether there may be more to do at once
 */
export async function stepRotation(
  options: RotationOptions,
): Promise<{ status: IdentityStatus; isMore: boolean }> {
  const { kube, clock, namespace } = options
  const stored = await readStored(kube, namespace)
  const nowMs = clock.nowMs()
  const known = parseIdentityStatus(stored.status?.data?.[identityStatusKey])
  const status = known ?? firstStatus(nowMs)
  const facts = await gatherFacts(options, stored, status, nowMs)
  const plan = planRotation(status, facts, options.settings)
  if ('act' in plan) {
    await perform(options, stored, plan.act, status)
    return { status, isMore: true }
  }
  const text = JSON.stringify(plan.status)
  const isChanged = stored.status?.data?.[identityStatusKey] !== text
  if (isChanged) await writeStatus(kube, namespace, stored.status, text)
  return { status: plan.status, isMore: plan.status.stage !== status.stage }
}

async function readStored(kube: KubeClient, namespace: string): Promise<Stored> {
  const secret = (name: string) => kube.read<Secret>(resources.secrets, name, namespace)
  const configMap = (name: string) => kube.read<ConfigMap>(resources.configMaps, name, namespace)
  const [roots, issuer, anchor, next, status] = await Promise.all([
    configMap(rootsConfigMapName),
    secret(issuerSecretName),
    secret(anchorSecretName),
    secret(nextAnchorSecretName),
    configMap(identityStatusName),
  ])
  const pem = roots?.data?.[rootsKey] ?? ''
  return { roots, issuer, anchor, next, status, bundle: pem.trim() === '' ? [] : parseCertificates(pem) }
}

async function gatherFacts(
  options: RotationOptions,
  stored: Stored,
  status: IdentityStatus,
  nowMs: number,
): Promise<RotationFacts> {
  const bundle = stored.bundle.map(factOf)
  const facts = {
    nowMs,
    bundle,
    issuerAnchor: issuerAnchorOf(stored, nowMs),
    ownAnchor: factOfSecret(stored.anchor),
    nextAnchor: factOfSecret(stored.next),
    request: stored.status?.metadata.annotations?.[rotateAnnotation],
  }
  // Nobody's acknowledgement matters at other times: the list of all pods is long.
  if (status.stage !== 'distribute' && status.stage !== 'issue') {
    return { ...facts, proxies: [], replicaAnchors: [] }
  }
  const pods = await listProxies(options)
  const reports = await liveReports(options, pods)
  const revision = revisionOf(bundle.map(({ hash }) => hash))
  const holders = new Set(
    reports.filter((report) => report.revision === revision).flatMap((report) => report.pods),
  )
  return {
    ...facts,
    proxies: pods.map((pod) => ({ ...pod, hasBundle: holders.has(podKeyOf(pod.uid)) })),
    replicaAnchors: reports.map(({ issuerAnchor }) => issuerAnchor),
  }
}

/** `v1` Pod, as far as it is looked at. */
interface ProxyPod extends KubeObject {
  spec?: { containers?: { name: string }[]; initContainers?: { name: string }[] }
  status?: { phase?: string }
}

type ListedProxy = Omit<ProxyFact, 'hasBundle'> & { uid: string }

async function listProxies({ kube, namespace }: RotationOptions): Promise<ListedProxy[]> {
  const { items } = await kube.list<ProxyPod>(resources.pods, {
    labelSelector: `${labels.controlPlaneNamespace}=${namespace}`,
  })
  return items
    .filter(({ spec, status }) => {
      const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
      const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed'
      return !isOver && containers.some(({ name }) => name === proxyContainerName)
    })
    .map(({ metadata }) => ({
      name: `${metadata.namespace ?? ''}/${metadata.name}`,
      uid: metadata.uid ?? '',
      createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    }))
}

/** A replica whose pod is gone signs nothing any more. */
async function liveReports(options: RotationOptions, pods: ListedProxy[]): Promise<ReplicaReport[]> {
  const names = new Set(pods.map(({ name }) => name))
  const reports = await readReports(options.kube, options.namespace)
  return [...reports]
    .filter(([name]) => name === options.replica || names.has(`${options.namespace}/${name}`))
    .map(([, report]) => report)
}

async function perform(
  options: RotationOptions,
  stored: Stored,
  act: RotationAct,
  status: IdentityStatus,
): Promise<void> {
  const { kube, namespace } = options
  const next = authorityOf(stored.next)
  switch (act) {
    case 'make-next-anchor': {
      await kube.remove(resources.secrets, nextAnchorSecretName, namespace)
      await kube.create<Secret>(resources.secrets, newAnchorSecret(options))
      return
    }
    case 'extend-bundle': {
      const added = next ?? authorityOf(stored.anchor)
      if (added !== undefined) await writeRoots(options, stored, [...stored.bundle, added.certificate])
      return
    }
    case 'issue-from-next': {
      // When the next anchor was kept as the own one already, it is that.
      const anchor = next ?? authorityOf(stored.anchor)
      if (anchor === undefined) return
      const pem = stored.roots?.data?.[rootsKey] ?? ''
      const made = tlsSecret(issuerSecretName, namespace, newIssuer(anchor, options), pem)
      await kube.replace<Secret>(resources.secrets, { ...made, ...keepVersion(stored.issuer, made) })
      return
    }
    case 'keep-next-as-own': {
      const pair = tlsPairOf(stored.next)
      if (pair === undefined) return
      const made = tlsSecret(anchorSecretName, namespace, pair, pair.certificatePem)
      await kube.replace<Secret>(resources.secrets, { ...made, ...keepVersion(stored.anchor, made) })
      return
    }
    case 'remove-old-anchor': {
      const rest = stored.bundle.filter((certificate) => hashOf(certificate) !== status.oldAnchor)
      if (rest.length > 0) await writeRoots(options, stored, rest)
      return
    }
    case 'remove-next-anchor':
      await kube.remove(resources.secrets, nextAnchorSecretName, namespace)
  }
}

/** Labels and annotations of others stay, and so does the version: a change in between makes the write fail. */
function keepVersion(known: Secret | undefined, made: Secret): Pick<Secret, 'metadata'> {
  if (known === undefined) return { metadata: made.metadata }
  const labels = { ...known.metadata.labels, ...made.metadata.labels }
  return { metadata: { ...known.metadata, labels } }
}

function newAnchorSecret({ clock, namespace, trustDomain }: RotationOptions): Secret {
  const nowMs = clock.nowMs()
  const anchor = createTrustAnchor(`root.${namespace}.${trustDomain}`, {
    notBeforeMs: nowMs - backdateMs,
    notAfterMs: nowMs + anchorLifetimeMs,
  })
  const pem = anchor.certificate.toPem()
  const pair = { certificatePem: pem, privateKeyPem: privateKeyPem(anchor.privateKey) }
  return tlsSecret(nextAnchorSecretName, namespace, pair, pem)
}

async function writeRoots(
  { kube }: RotationOptions,
  { roots }: Stored,
  anchors: readonly Certificate[],
): Promise<void> {
  if (roots === undefined) return
  const text = anchors.map((anchor) => anchor.toPem()).join('')
  await kube.replace<ConfigMap>(resources.configMaps, { ...roots, data: { ...roots.data, [rootsKey]: text } })
}

async function writeStatus(
  kube: KubeClient,
  namespace: string,
  known: ConfigMap | undefined,
  text: string,
): Promise<void> {
  const data = { [identityStatusKey]: text }
  if (known !== undefined) {
    await kube.replace<ConfigMap>(resources.configMaps, { ...known, data })
    return
  }
  const metadata = { name: identityStatusName, namespace, labels: identityLabels(namespace) }
  await kube.create<ConfigMap>(resources.configMaps, { metadata, data })
}

/** Whether a write failed because another was quicker: the next step sees what that one did. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409
}

function authorityOf(secret: Secret | undefined): Authority | undefined {
  const pair = tlsPairOf(secret)
  if (pair === undefined) return undefined
  const [certificate] = parseCertificates(pair.certificatePem)
  if (certificate === undefined) return undefined
  return { certificate, privateKey: parsePrivateKey(pair.privateKeyPem) }
}

function issuerAnchorOf({ issuer, roots }: Stored, nowMs: number): string | undefined {
  const pair = tlsPairOf(issuer)
  if (pair === undefined) return undefined
  try {
    return hashOf(readIssuer(pair, roots?.data?.[rootsKey] ?? '', nowMs).anchor)
  } catch {
    return undefined
  }
}

function factOfSecret(secret: Secret | undefined): AnchorFact | undefined {
  const authority = authorityOf(secret)
  return authority === undefined ? undefined : factOf(authority.certificate)
}

function factOf(certificate: Certificate): AnchorFact {
  const { notBeforeMs, notAfterMs } = certificate
  return { hash: hashOf(certificate), notBeforeMs, notAfterMs }
}
