import type { ProxyContext } from '../../../templates/context.ts'
import type { Values } from '../../../templates/values.ts'
import type { Settings } from './annotation-rules.ts'
import { annotationTable } from './annotation-table.ts'
import { declaredPorts, inboundPorts, type Pod } from './pod.ts'
import { quantityOf } from './quantity.ts'

/** Everything that is decided about the proxy of one pod. */
export interface ProxySettings {
  context: ProxyContext
  settings: Settings
  /** Annotations that the pod takes from its namespace. */
  inheritedAnnotations: Record<string, string>
}

/** Annotations that cannot be followed, one line each. */
export interface SettingsProblems {
  problems: string[]
}

export interface SettingsInput {
  pod: Pod
  namespaceAnnotations: Readonly<Record<string, string>>
  values: Values
  /** PEM of the trust anchors. */
  anchorsPem: string
  isIngress: boolean
}

/** The annotations of a namespace that its pods take, unless they say otherwise themselves. */
export function inheritableAnnotations(
  namespaceAnnotations: Readonly<Record<string, string>>,
  podAnnotations: Readonly<Record<string, string>>,
): Record<string, string> {
  const entries = Object.entries(namespaceAnnotations).filter(
    ([name]) => annotationTable[name]?.isInherited === true && podAnnotations[name] === undefined,
  )
  return Object.fromEntries(entries)
}

/** Decides the settings of a pod's proxy: the installation's, then the namespace's, then the pod's own. */
export function proxySettings(input: SettingsInput): ProxySettings | SettingsProblems {
  const { pod, values } = input
  const own = pod.metadata.annotations ?? {}
  const inheritedAnnotations = inheritableAnnotations(input.namespaceAnnotations, own)
  const settings = initialSettings(values)
  const namedPorts = new Map(
    declaredPorts(pod).flatMap(({ name, containerPort }) =>
      name === undefined ? [] : [[name, containerPort] as const],
    ),
  )
  const context = { clusterDomain: values.clusterDomain, namedPorts }
  const problems: string[] = []
  for (const [name, value] of Object.entries({ ...inheritedAnnotations, ...own })) {
    const problem = annotationTable[name]?.apply(value, settings, context)
    if (problem !== undefined) problems.push(`${name}: "${shortened(value)}" cannot be used: ${problem}`)
  }
  problems.push(...contradictions(settings))
  if (problems.length > 0) return { problems }
  return { context: contextOf(input, settings), settings, inheritedAnnotations }
}

function initialSettings(values: Values): Settings {
  const proxy = structuredClone(values.proxy)
  return {
    proxy,
    env: [],
    requireIdentityInboundPorts: '',
    ephemeralStorage: { request: '', limit: '' },
    isAwaited: true,
    debug: {
      isWanted: false,
      image: proxy.image.name.replace(/[^/]*$/, 'debug'),
      version: proxy.image.version,
      pullPolicy: proxy.image.pullPolicy,
    },
    warnings: [],
  }
}

/** What each annotation allows by itself, and the whole does not: the API server would refuse such a pod, or it would never start. */
function contradictions(settings: Settings): string[] {
  const { proxy, ephemeralStorage } = settings
  const pairs: [string, { request: string; limit: string }][] = [
    ['cpu', proxy.resources.cpu],
    ['memory', proxy.resources.memory],
    ['ephemeral-storage', ephemeralStorage],
  ]
  const over = pairs
    .filter(
      ([, { request, limit }]) =>
        (quantityOf(request) ?? 0) > (quantityOf(limit) ?? Number.POSITIVE_INFINITY),
    )
    .map(([what, { request, limit }]) => `the proxy's ${what} request ${request} is over its limit ${limit}`)
  const { inbound, outbound, admin, control } = proxy.ports
  const isShared = new Set([inbound, outbound, admin, control]).size < 4
  const ports = `inbound ${inbound}, outbound ${outbound}, admin ${admin}, control ${control}`
  return isShared ? [...over, `the proxy's ports are not all different: ${ports}`] : over
}

function contextOf(input: SettingsInput, settings: Settings): ProxyContext {
  const { values, pod } = input
  return {
    controlPlaneNamespace: values.namespace,
    clusterDomain: values.clusterDomain,
    identityTrustDomain: values.identityTrustDomain,
    clusterNetworks: values.clusterNetworks,
    disableIPv6: values.disableIPv6,
    proxy: settings.proxy,
    inboundPorts: inboundPorts(pod),
    requireIdentityInboundPorts: settings.requireIdentityInboundPorts,
    trustAnchors: { kind: 'pem', pem: input.anchorsPem },
    ...(input.isIngress ? { ingress: true } : {}),
    additionalEnv: [],
  }
}

function shortened(value: string): string {
  return value.length > 80 ? `${value.slice(0, 80)}…` : value
}
