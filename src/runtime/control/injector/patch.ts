import { createHash } from 'node:crypto'
import type { RenderedProxy } from '../../../templates/context.ts'
import type { Values } from '../../../templates/values.ts'
import { annotations, configAnnotationPrefix, labels, proxyOwnerLabel } from '../../shared/labels.ts'
import { meshVersion } from '../../shared/version.ts'
import type { EnvironmentVariable, Settings } from './annotation-rules.ts'
import type { Owner } from './owner.ts'
import { inboundPorts, type Pod } from './pod.ts'

/** One operation of a JSON Patch, RFC 6902. */
export interface PatchOperation {
  op: 'add' | 'replace'
  path: string
  value: unknown
}

export interface InjectionPatchInput {
  pod: Pod
  namespace: string
  owner: Owner | undefined
  values: Values
  anchorsPem: string
  rendered: RenderedProxy
  settings: Settings
  /** Annotations that the pod gets beside those of every injected pod. */
  annotations: Record<string, string>
}

/** Owners that metrics are told by. */
const ownerKinds = new Set([
  'Deployment',
  'ReplicaSet',
  'ReplicationController',
  'DaemonSet',
  'StatefulSet',
  'Job',
  'CronJob',
])

/** The operations that put the proxy into a pod. */
export function injectionPatch(input: InjectionPatchInput): PatchOperation[] {
  const { pod, rendered, settings } = input
  const proxy = adjusted(rendered.proxyContainer, settings)
  return [
    ...mapOperations('/metadata/labels', pod.metadata.labels, injectedLabels(input)),
    ...mapOperations('/metadata/annotations', pod.metadata.annotations, injectedAnnotations(input)),
    ...firstOperations('/spec/initContainers', pod.spec.initContainers, [rendered.redirectContainer, proxy]),
    ...lastOperations('/spec/volumes', pod.spec.volumes, rendered.volumes),
    ...(settings.debug.isWanted
      ? lastOperations('/spec/containers', pod.spec.containers, [debugContainer(settings)])
      : []),
  ]
}

/** The operations that add or change annotations. */
export function annotationPatch(
  object: { metadata: { annotations?: Record<string, string> } },
  added: Record<string, string>,
): PatchOperation[] {
  return mapOperations('/metadata/annotations', object.metadata.annotations, added)
}

function injectedLabels({ values, namespace, owner }: InjectionPatchInput): Record<string, string> {
  return {
    [labels.controlPlaneNamespace]: values.namespace,
    [labels.workloadNamespace]: namespace,
    ...(owner !== undefined && ownerKinds.has(owner.kind)
      ? { [proxyOwnerLabel(owner.kind)]: labelValue(owner.name) }
      : {}),
  }
}

function injectedAnnotations(input: InjectionPatchInput): Record<string, string> {
  const { pod, settings, anchorsPem } = input
  return {
    ...input.annotations,
    [`${configAnnotationPrefix}pod-inbound-ports`]: inboundPorts(pod).map(String).toSorted().join(','),
    [annotations.createdBy]: `mesh/proxy-injector ${meshVersion}`,
    [annotations.proxyVersion]: settings.proxy.image.version,
    [annotations.trustRootSha256]: createHash('sha256').update(anchorsPem).digest('hex'),
  }
}

/** A name as the value of a label: at most 63 characters, which end with a letter or digit. */
function labelValue(name: string): string {
  return name.slice(0, 63).replace(/[^A-Za-z0-9]+$/, '')
}

/** The proxy's container with what the template has no field for. */
function adjusted(container: Record<string, unknown>, settings: Settings): Record<string, unknown> {
  const result = { ...container, env: withVariables(container.env as EnvironmentVariable[], settings.env) }
  if (!settings.isAwaited) delete (result as Record<string, unknown>).startupProbe
  const { request, limit } = settings.ephemeralStorage
  if (request === '' && limit === '') return result
  const given = (container.resources ?? {}) as { requests?: object; limits?: object }
  const resources = {
    ...given,
    ...(request === '' ? {} : { requests: { ...given.requests, 'ephemeral-storage': request } }),
    ...(limit === '' ? {} : { limits: { ...given.limits, 'ephemeral-storage': limit } }),
  }
  return { ...result, resources }
}

/** Names that are there already are replaced where they stand, since later variables may refer to them. */
function withVariables(
  env: readonly EnvironmentVariable[],
  added: readonly EnvironmentVariable[],
): EnvironmentVariable[] {
  const byName = new Map(added.map((variable) => [variable.name, variable]))
  const replaced = env.map((variable) => byName.get(variable.name) ?? variable)
  const known = new Set(env.map(({ name }) => name))
  return [...replaced, ...added.filter(({ name }) => !known.has(name))]
}

function debugContainer({ debug }: Settings): object {
  return {
    name: 'linkerd-debug',
    image: `${debug.image}:${debug.version}`,
    imagePullPolicy: debug.pullPolicy,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: { capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } },
  }
}

function mapOperations(
  path: string,
  present: Record<string, string> | undefined,
  added: Record<string, string>,
): PatchOperation[] {
  const entries = Object.entries(added).filter(([key, value]) => present?.[key] !== value)
  if (entries.length === 0) return []
  if (present === undefined) return [{ op: 'add', path, value: Object.fromEntries(entries) }]
  return entries.map(([key, value]) => ({
    op: present[key] === undefined ? 'add' : 'replace',
    path: `${path}/${escapePointer(key)}`,
    value,
  }))
}

function firstOperations(path: string, present: unknown[] | undefined, added: unknown[]): PatchOperation[] {
  if (present === undefined) return [{ op: 'add', path, value: added }]
  return added.map((value, index) => ({ op: 'add', path: `${path}/${index}`, value }))
}

function lastOperations(path: string, present: unknown[] | undefined, added: unknown[]): PatchOperation[] {
  if (present === undefined) return [{ op: 'add', path, value: added }]
  return added.map((value) => ({ op: 'add', path: `${path}/-`, value }))
}

/** RFC 6901 §3. */
function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
