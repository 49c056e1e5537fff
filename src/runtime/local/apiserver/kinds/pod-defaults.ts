import { isObject, objectsAt } from '../json.ts'

type Fields = Record<string, unknown>

/** Sets a field that is absent. */
export function setDefault(object: Fields, key: string, value: unknown): void {
  if (object[key] === undefined || object[key] === null) object[key] = value
}

/** The object in a field; an empty one is put there when there is none. */
export function ensureObject(parent: Fields, key: string): Fields {
  const present = parent[key]
  if (isObject(present)) return present
  const created: Fields = {}
  parent[key] = created
  return created
}

/** `Always` for a name without tag or with the tag `latest`, as Kubernetes chooses. */
function pullPolicyOf(image: unknown): string {
  const name = typeof image === 'string' ? image : ''
  const last = name.slice(name.lastIndexOf('/') + 1)
  if (last.includes('@')) return 'IfNotPresent'
  const tag = last.includes(':') ? last.slice(last.indexOf(':') + 1) : 'latest'
  return tag === 'latest' ? 'Always' : 'IfNotPresent'
}

function defaultHttpGet(handler: unknown): void {
  if (!isObject(handler) || !isObject(handler.httpGet)) return
  setDefault(handler.httpGet, 'path', '/')
  setDefault(handler.httpGet, 'scheme', 'HTTP')
}

function defaultProbe(probe: unknown): void {
  if (!isObject(probe)) return
  setDefault(probe, 'timeoutSeconds', 1)
  setDefault(probe, 'periodSeconds', 10)
  setDefault(probe, 'successThreshold', 1)
  setDefault(probe, 'failureThreshold', 3)
  defaultHttpGet(probe)
  if (isObject(probe.grpc)) setDefault(probe.grpc, 'service', '')
}

function defaultEnv(container: Fields): void {
  for (const variable of objectsAt(container, ['env'])) {
    const source = variable.valueFrom
    if (isObject(source) && isObject(source.fieldRef)) setDefault(source.fieldRef, 'apiVersion', 'v1')
  }
}

function defaultContainer(container: Fields): void {
  setDefault(container, 'imagePullPolicy', pullPolicyOf(container.image))
  setDefault(container, 'terminationMessagePath', '/dev/termination-log')
  setDefault(container, 'terminationMessagePolicy', 'File')
  const resources = ensureObject(container, 'resources')
  if (isObject(resources.limits)) {
    const requests = ensureObject(resources, 'requests')
    for (const [name, value] of Object.entries(resources.limits)) setDefault(requests, name, value)
  }
  for (const port of objectsAt(container, ['ports'])) setDefault(port, 'protocol', 'TCP')
  for (const key of ['livenessProbe', 'readinessProbe', 'startupProbe']) defaultProbe(container[key])
  if (isObject(container.lifecycle)) {
    defaultHttpGet(container.lifecycle.postStart)
    defaultHttpGet(container.lifecycle.preStop)
  }
  defaultEnv(container)
}

const fileMode = 0o644
const volumeKeysWithMode = ['secret', 'configMap', 'downwardAPI', 'projected']

function defaultFieldRefs(items: readonly Fields[]): void {
  for (const item of items) if (isObject(item.fieldRef)) setDefault(item.fieldRef, 'apiVersion', 'v1')
}

function defaultVolume(volume: Fields): void {
  const sources = Object.keys(volume).filter((key) => key !== 'name')
  if (sources.length === 0) volume.emptyDir = {}
  for (const key of volumeKeysWithMode) {
    const source = volume[key]
    if (isObject(source)) setDefault(source, 'defaultMode', fileMode)
  }
  if (isObject(volume.hostPath)) setDefault(volume.hostPath, 'type', '')
  defaultFieldRefs(objectsAt(volume, ['downwardAPI', 'items']))
  for (const source of objectsAt(volume, ['projected', 'sources'])) {
    if (isObject(source.serviceAccountToken))
      setDefault(source.serviceAccountToken, 'expirationSeconds', 3600)
    defaultFieldRefs(objectsAt(source, ['downwardAPI', 'items']))
  }
}

/** Fills in a PodSpec, in a pod or in a template. */
export function setPodSpecDefaults(spec: Fields): void {
  setDefault(spec, 'restartPolicy', 'Always')
  setDefault(spec, 'terminationGracePeriodSeconds', 30)
  setDefault(spec, 'dnsPolicy', 'ClusterFirst')
  setDefault(spec, 'schedulerName', 'default-scheduler')
  ensureObject(spec, 'securityContext')
  if (spec.serviceAccountName === undefined && typeof spec.serviceAccount === 'string') {
    spec.serviceAccountName = spec.serviceAccount
  }
  if (typeof spec.serviceAccountName === 'string') spec.serviceAccount = spec.serviceAccountName
  for (const key of ['initContainers', 'containers']) objectsAt(spec, [key]).forEach(defaultContainer)
  objectsAt(spec, ['volumes']).forEach(defaultVolume)
}
