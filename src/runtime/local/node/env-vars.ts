import type {
  ConfigMap,
  Container,
  EnvVar,
  FieldRef,
  KeyRef,
  Pod,
  ResourceFieldRef,
  Secret,
} from '../objects.ts'

/** A container cannot be started as its configuration is now. Its message is shown in the pod's status. */
export class ContainerConfigError extends Error {}

/** Objects that a pod's environment and volumes are made from. */
export interface ConfigSource {
  configMap(name: string): ConfigMap | undefined
  secret(name: string): Secret | undefined
}

/** What is known about a pod only once it runs. */
export interface PodFacts {
  pod: Pod
  hostIp: string
  podIps: string[]
  /** Of the whole machine: CPUs and bytes, for limits that are not set. */
  capacity: { cpus: number; memoryBytes: number }
}

/**
 * The variables of a container: those of `envFrom`, then those of `env`, each with the ones before it expanded.
 * @throws ContainerConfigError when an object or a key is missing that is not optional
 */
export function containerEnv(
  container: Container,
  facts: PodFacts,
  source: ConfigSource,
): Map<string, string> {
  const env = new Map<string, string>()
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const data =
      configMapRef === undefined
        ? secretData(secretRef, source, facts)
        : configMapData(configMapRef, source, facts)
    for (const [key, value] of Object.entries(data)) env.set(`${prefix}${key}`, value)
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, container, facts, source)
    if (value !== undefined) env.set(variable.name, expand(value, env))
  }
  return env
}

/** Replaces `$(NAME)` by the value of a known variable; `$$` stands for one dollar sign. */
export function expand(text: string, env: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (match, name?: string) => {
    if (name === undefined) return '$'
    return env.get(name) ?? match
  })
}

function variableValue(
  variable: EnvVar,
  container: Container,
  facts: PodFacts,
  source: ConfigSource,
): string | undefined {
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = variable.valueFrom ?? {}
  if (configMapKeyRef !== undefined) return configMapValue(configMapKeyRef, source, facts)
  if (secretKeyRef !== undefined) return secretValue(secretKeyRef, source, facts)
  if (fieldRef !== undefined) return fieldValue(fieldRef, facts)
  if (resourceFieldRef !== undefined) return resourceValue(resourceFieldRef, facts, container)
  return variable.value ?? ''
}

// === Objects ===

type Reference = { name: string; optional?: boolean }

function configMapData(reference: Reference, source: ConfigSource, facts: PodFacts): Record<string, string> {
  const found = source.configMap(reference.name)
  if (found === undefined && !reference.optional) throw notFound('configmap', reference.name, facts)
  return found?.data ?? {}
}

function secretData(
  reference: Reference | undefined,
  source: ConfigSource,
  facts: PodFacts,
): Record<string, string> {
  if (reference === undefined) return {}
  const found = source.secret(reference.name)
  if (found === undefined && !reference.optional) throw notFound('secret', reference.name, facts)
  const entries = Object.entries(found?.data ?? {})
  return Object.fromEntries(entries.map(([key, value]) => [key, fromBase64(value)]))
}

function configMapValue(reference: KeyRef, source: ConfigSource, facts: PodFacts): string | undefined {
  const value = configMapData(reference, source, facts)[reference.key]
  if (value === undefined && !reference.optional) throw noKey('ConfigMap', reference, facts)
  return value
}

function secretValue(reference: KeyRef, source: ConfigSource, facts: PodFacts): string | undefined {
  const value = secretData(reference, source, facts)[reference.key]
  if (value === undefined && !reference.optional) throw noKey('Secret', reference, facts)
  return value
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8')
}

function notFound(kind: string, name: string, { pod }: PodFacts): ContainerConfigError {
  return new ContainerConfigError(`${kind} "${name}" not found in namespace ${pod.metadata.namespace}`)
}

function noKey(kind: string, { name, key }: KeyRef, { pod }: PodFacts): ContainerConfigError {
  return new ContainerConfigError(`couldn't find key ${key} in ${kind} ${pod.metadata.namespace}/${name}`)
}

// === Downward API ===

/**
 * The value of a field of the pod, as the downward API gives it.
 * @throws ContainerConfigError when the field is not one of those that may be asked for
 */
export function fieldValue({ fieldPath }: FieldRef, facts: PodFacts): string {
  const { metadata, spec } = facts.pod
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(fieldPath)
  if (keyed?.[2] !== undefined) {
    return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]] ?? ''
  }
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name
    case 'metadata.namespace':
      return metadata.namespace ?? ''
    case 'metadata.uid':
      return metadata.uid ?? ''
    case 'metadata.labels':
      return keyValues(metadata.labels)
    case 'metadata.annotations':
      return keyValues(metadata.annotations)
    case 'spec.nodeName':
      return spec.nodeName ?? ''
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default'
    case 'status.hostIP':
    case 'status.hostIPs':
      return facts.hostIp
    case 'status.podIP':
      return facts.podIps[0] ?? ''
    case 'status.podIPs':
      return facts.podIps.join(',')
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${fieldPath}`)
  }
}

function keyValues(map: Record<string, string> = {}): string {
  return Object.entries(map)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

/**
 * A limit or request of a container, divided by the divisor and rounded up. A limit that is not set is the machine's
 * capacity, a request that is not set is zero.
 */
export function resourceValue(reference: ResourceFieldRef, facts: PodFacts, own?: Container): string {
  const containers = [...facts.pod.spec.containers, ...(facts.pod.spec.initContainers ?? [])]
  const container =
    reference.containerName === undefined
      ? own
      : containers.find(({ name }) => name === reference.containerName)
  const [kind = '', ...rest] = reference.resource.split('.')
  const resource = rest.join('.')
  const quantity = container?.resources?.[kind as 'limits' | 'requests']?.[resource]
  const amount = quantity === undefined ? unset(kind, resource, facts) : parseQuantity(quantity)
  const divisor = parseQuantity(reference.divisor ?? '1') || 1
  // Quantities have at most nine decimals: rounding first keeps 0.1 / 0.001 from becoming 101.
  return String(Math.ceil(Number((amount / divisor).toFixed(6))))
}

function unset(kind: string, resource: string, { capacity }: PodFacts): number {
  if (kind !== 'limits') return 0
  if (resource === 'cpu') return capacity.cpus
  return resource === 'memory' ? capacity.memoryBytes : 0
}

const suffixes: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A Kubernetes quantity such as `100m`, `1.5` or `64Mi` as a number; NaN when it is none. */
export function parseQuantity(text: string): number {
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(text)
  if (match === null) return Number.NaN
  const [, number = '', suffix = ''] = match
  return Number(number) * (suffix === '' ? 1 : (suffixes[suffix] ?? Number.NaN))
}
