import type { ProxyContext, RenderedProxy } from '../../../templates/context.ts'
import type { Values } from '../../../templates/values.ts'
import { MeshError } from '../../shared/errors.ts'
import { configAnnotationPrefix } from '../../shared/labels.ts'
import type { Settings } from './annotation-rules.ts'
import type { Decision } from './decision.ts'
import type { Owner } from './owner.ts'
import { annotationPatch, injectionPatch, type PatchOperation } from './patch.ts'
import { declaredPorts, type Pod, type Service } from './pod.ts'
import { containsPort, parsePortList } from './port-list.ts'
import { proxySettings } from './settings.ts'

export const opaquePortsAnnotation = `${configAnnotationPrefix}opaque-ports`

/** What is known beside the object that is admitted. */
export interface Facts {
  namespace: string
  namespaceAnnotations: Readonly<Record<string, string>>
  owner: Owner | undefined
  /** The installation's values; undefined while they cannot be read. */
  values: Values | undefined
  /** PEM of the trust anchors; undefined while there are none. */
  anchorsPem: string | undefined
  render: (context: ProxyContext) => RenderedProxy
}

/** What the API server is told. */
export type Outcome =
  | { kind: 'allow'; patch: PatchOperation[]; warnings: string[] }
  /** The object is refused; the message is shown to whoever creates it. */
  | { kind: 'refuse'; message: string }

/**
 * Puts the proxy into a pod that opted in. An annotation that cannot be followed refuses the pod: one with a proxy
 * other than was asked for would be found out much later.
 * @throws MeshError `MESH_INJECTOR_NOT_CONFIGURED`, `MESH_INJECTOR_NO_TRUST_ANCHORS`
 */
export function injectPod(pod: Pod, decision: Decision & { kind: 'inject' }, facts: Facts): Outcome {
  const { values, anchorsPem, namespaceAnnotations } = facts
  if (values === undefined) {
    throw notYet('MESH_INJECTOR_NOT_CONFIGURED', 'ConfigMap linkerd-config is missing or cannot be read')
  }
  if (anchorsPem === undefined) {
    throw notYet('MESH_INJECTOR_NO_TRUST_ANCHORS', 'ConfigMap linkerd-identity-trust-roots is not there yet')
  }
  const { isIngress } = decision
  const decided = proxySettings({ pod, namespaceAnnotations, values, anchorsPem, isIngress })
  if ('problems' in decided) {
    return {
      kind: 'refuse',
      message: `The proxy cannot be added (MESH_INJECTOR_ANNOTATION): ${decided.problems.join('; ')}`,
    }
  }
  const { settings, context, inheritedAnnotations } = decided
  const patch = injectionPatch({
    pod,
    namespace: facts.namespace,
    owner: facts.owner,
    values,
    anchorsPem,
    rendered: facts.render(context),
    settings,
    annotations: {
      ...inheritedAnnotations,
      ...opaquePortsOfPod(pod, inheritedAnnotations, values, settings),
    },
  })
  return { kind: 'allow', patch, warnings: settings.warnings }
}

/** A pod without a proxy still takes its namespace's opaque ports: meshed clients must know. */
export function passPod(pod: Pod, facts: Pick<Facts, 'namespaceAnnotations'>): Outcome {
  const given = facts.namespaceAnnotations[opaquePortsAnnotation]
  const isTaken = pod.metadata.annotations?.[opaquePortsAnnotation] === undefined && isPortList(given)
  const added = isTaken && given !== undefined ? { [opaquePortsAnnotation]: given } : {}
  return { kind: 'allow', patch: annotationPatch(pod, added), warnings: [] }
}

/** A Service takes its namespace's opaque ports, or those of the installation's that it has. */
export function annotateService(
  service: Service,
  facts: Pick<Facts, 'namespaceAnnotations' | 'values'>,
): Outcome {
  const own = service.metadata.annotations?.[opaquePortsAnnotation]
  if (own !== undefined) {
    const parsed = parsePortList(own)
    const warnings =
      parsed.kind === 'problem' ? [`${opaquePortsAnnotation} is passed over: ${parsed.problem}`] : []
    return { kind: 'allow', patch: [], warnings }
  }
  const given = facts.namespaceAnnotations[opaquePortsAnnotation]
  const ports = (service.spec?.ports ?? [])
    .filter(({ protocol }) => protocol === undefined || protocol === 'TCP')
    .map(({ port }) => port)
  const value = isPortList(given) ? given : portsIn(ports, facts.values?.proxy.opaquePorts ?? '')
  const added = value === undefined || value === '' ? {} : { [opaquePortsAnnotation]: value }
  return { kind: 'allow', patch: annotationPatch(service, added), warnings: [] }
}

/** The annotation of an injected pod: names of ports become numbers, and without any it is the defaults that it has. */
function opaquePortsOfPod(
  pod: Pod,
  inherited: Readonly<Record<string, string>>,
  values: Values,
  settings: Settings,
): Record<string, string> {
  const said = pod.metadata.annotations?.[opaquePortsAnnotation] ?? inherited[opaquePortsAnnotation]
  if (said !== undefined) {
    return parsePortList(said).kind === 'ports' ? {} : { [opaquePortsAnnotation]: settings.proxy.opaquePorts }
  }
  const value = portsIn(
    declaredPorts(pod).map(({ containerPort }) => containerPort),
    values.proxy.opaquePorts,
  )
  return value === '' ? {} : { [opaquePortsAnnotation]: value }
}

/** Those of the ports that the list has, as a list. */
function portsIn(ports: readonly number[], list: string): string {
  const parsed = parsePortList(list)
  if (parsed.kind === 'problem') return ''
  const found = [...new Set(ports)].filter((port) => containsPort(parsed.ranges, port))
  return found.sort((a, b) => a - b).join(',')
}

function isPortList(text: string | undefined): boolean {
  return text !== undefined && parsePortList(text).kind === 'ports'
}

function notYet(code: `MESH_${string}`, reason: string): MeshError {
  return new MeshError({
    code,
    kind: 'environment',
    message: 'The proxy cannot be added yet',
    reason,
    next: ['mesh check', 'Deployments try again by themselves; create a single pod again after a while.'],
  })
}
