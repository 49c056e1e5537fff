import { MeshError } from '../shared/errors.ts'
import { annotations, proxyContainerName, redirectContainerName } from '../shared/labels.ts'
import { type ManifestDocument, type ManifestObject, objectsOf, plainAt, textAt } from './manifest-input.ts'
import { type PodTemplate, templatePath } from './pod-template.ts'
import { uninjectObject } from './uninject.ts'

/** What is written on the objects. */
export interface InjectOptions {
  mode: 'enabled' | 'ingress'
  /** `config.linkerd.io/*` annotations for pods, by full name. */
  config: Readonly<Record<string, string>>
  /** Ports for Services; nothing is written on Services without it. */
  opaquePorts?: string
}

/** What became of one object. */
export interface InjectResult {
  kind: string
  name: string
  outcome: 'injected' | 'annotated' | 'skipped'
}

/** What became of a manifest, for the report. */
export interface InjectReport {
  results: InjectResult[]
  /** What a person should know, such as UDP ports that stay outside the mesh. */
  warnings: string[]
}

/**
 * Marks the objects of a manifest for injection, in place: pod templates and Namespaces get the inject annotation,
 * Services at most their opaque ports.
 * @throws MeshError `MESH_INJECT_IMPOSSIBLE` when a pod cannot be meshed
 */
export function inject(documents: readonly ManifestDocument[], options: InjectOptions): InjectReport {
  const report: InjectReport = { results: [], warnings: [] }
  const refusals: string[] = []
  for (const object of objectsOf(documents)) {
    const outcome = injectObject(object, options, report.warnings, refusals)
    report.results.push({ kind: object.kind, name: object.name, outcome })
  }
  if (refusals.length > 0) throw impossible(refusals)
  if (!report.results.some(({ outcome }) => outcome !== 'skipped')) {
    report.warnings.push('no supported object found: nothing was changed')
  }
  return report
}

function impossible(refusals: readonly string[]): MeshError {
  return new MeshError({
    code: 'MESH_INJECT_IMPOSSIBLE',
    kind: 'environment',
    message: refusals.length === 1 ? (refusals[0] ?? '') : `${refusals.length} workloads cannot be meshed`,
    ...(refusals.length === 1 ? {} : { reason: refusals.join('; ') }),
    next: [
      `Opt them out with the annotation ${annotations.inject}: disabled, or leave them out of the input.`,
    ],
  })
}

function injectObject(
  object: ManifestObject,
  options: InjectOptions,
  warnings: string[],
  refusals: string[],
): InjectResult['outcome'] {
  if (object.kind === 'Namespace') {
    annotate(object, object.at, { [annotations.inject]: options.mode, ...options.config })
    return 'annotated'
  }
  if (object.kind === 'Service') {
    if (options.opaquePorts === undefined) return 'skipped'
    annotate(object, object.at, { 'config.linkerd.io/opaque-ports': options.opaquePorts })
    return 'annotated'
  }
  const path = templatePath(object)
  if (path === undefined) return 'skipped'
  const label = describe(object)
  if (textAt(object.document, [...path, 'metadata', 'annotations', annotations.inject]) === 'disabled') {
    warnings.push(`${label} says ${annotations.inject}: disabled`)
    return 'skipped'
  }
  // What an earlier injection left would be in the way of the next.
  uninjectObject(object)
  const template = (plainAt(object.document, path) ?? {}) as PodTemplate
  const reason = whyImpossible(template)
  if (reason !== undefined) {
    refusals.push(`${label} cannot be meshed: ${reason}`)
    return 'skipped'
  }
  const udp = udpPortsOf(template)
  if (udp.length > 0) warnings.push(`${label} has UDP ports (${udp.join(', ')}), which stay outside the mesh`)
  annotate(object, path, { [annotations.inject]: options.mode, ...options.config })
  return 'injected'
}

/** `deployment "web"`, as reports name objects. */
export function describe(object: { kind: string; name: string }): string {
  return `${object.kind.toLowerCase()} "${object.name}"`
}

function annotate(
  object: ManifestObject,
  path: readonly (string | number)[],
  values: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries(values)) {
    ensureMap(object.document, [...path, 'metadata'])
    ensureMap(object.document, [...path, 'metadata', 'annotations'])
    object.document.setIn([...path, 'metadata', 'annotations', name], value)
  }
}

/** `setIn` cannot pass through an explicit `null`, such as `annotations:` with nothing after it. */
function ensureMap(document: ManifestDocument, path: readonly (string | number)[]): void {
  const present: unknown = document.getIn(path)
  if (present === undefined || present === null) document.setIn(path, document.createNode({}))
}

const foreignSidecars = ['istio-proxy', 'istio-init']
const foreignImages = /(^|\/)(istio\/)?proxyv2[:@]|(^|\/)linkerd\/proxy(-init)?[:@]/

/** Why a pod can have no proxy, or nothing. */
export function whyImpossible(template: PodTemplate): string | undefined {
  const spec = template.spec
  if (spec?.hostNetwork === true) return 'it uses the network of its node (hostNetwork)'
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
  const sidecar = containers.find(
    (container) =>
      container.name === proxyContainerName ||
      container.name === redirectContainerName ||
      foreignSidecars.includes(container.name) ||
      foreignImages.test(container.image ?? ''),
  )
  if (sidecar !== undefined) return `it has a sidecar already (container ${sidecar.name})`
  const hasToken = spec?.volumes?.some((volume) =>
    volume.projected?.sources?.some((source) => source.serviceAccountToken !== undefined),
  )
  if (spec?.automountServiceAccountToken === false && hasToken !== true) {
    return 'it mounts no service-account token (automountServiceAccountToken: false), so it cannot have an identity'
  }
  return undefined
}

function udpPortsOf(template: PodTemplate): number[] {
  return (template.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? []).filter((port) => port.protocol === 'UDP').map((port) => port.containerPort),
  )
}
