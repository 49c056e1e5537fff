import { isObject, objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { KindStrategy, StrategyEnv } from '../registry/definition.ts'
import type { FieldError } from '../status.ts'
import { ensureObject, setDefault } from './pod-defaults.ts'
import {
  duplicate,
  immutable,
  invalidValue,
  isDnsLabel,
  isPort,
  labelMessage,
  required,
  unsupported,
} from './validation.ts'

type Fields = Record<string, unknown>

const serviceTypes = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const protocols = ['SCTP', 'TCP', 'UDP']

function isExternalName(spec: Fields): boolean {
  return spec.type === 'ExternalName'
}

function hasNodePorts(spec: Fields): boolean {
  return spec.type === 'NodePort' || spec.type === 'LoadBalancer'
}

function setServiceDefaults(service: StoredObject): void {
  const spec = ensureObject(service, 'spec')
  setDefault(spec, 'type', 'ClusterIP')
  setDefault(spec, 'sessionAffinity', 'None')
  for (const port of objectsAt(spec, ['ports'])) {
    setDefault(port, 'protocol', 'TCP')
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '')
      port.targetPort = port.port
  }
  if (isExternalName(spec)) return
  setDefault(spec, 'internalTrafficPolicy', 'Cluster')
  setDefault(spec, 'ipFamilies', ['IPv4'])
  setDefault(spec, 'ipFamilyPolicy', 'SingleStack')
  if (hasNodePorts(spec)) setDefault(spec, 'externalTrafficPolicy', 'Cluster')
  if (spec.type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true)
}

function allocate(service: StoredObject, env: StrategyEnv): void {
  const spec = ensureObject(service, 'spec')
  if (isExternalName(spec)) return
  if (spec.clusterIP !== 'None') {
    const wanted = typeof spec.clusterIP === 'string' && spec.clusterIP !== '' ? spec.clusterIP : undefined
    spec.clusterIP = env.allocateClusterIp(wanted, service)
  }
  spec.clusterIPs = [spec.clusterIP]
  if (!hasNodePorts(spec)) return
  for (const port of objectsAt(spec, ['ports'])) {
    const wanted = typeof port.nodePort === 'number' && port.nodePort !== 0 ? port.nodePort : undefined
    port.nodePort = env.allocateNodePort(wanted, service)
  }
}

/** A writer that leaves out what the server gave keeps it. */
function keepAllocations(service: StoredObject, old: StoredObject, env: StrategyEnv): void {
  const spec = ensureObject(service, 'spec')
  const before = isObject(old.spec) ? old.spec : {}
  if (isExternalName(spec)) {
    if (!isExternalName(before))
      for (const key of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[key]
    return
  }
  if (!spec.clusterIP && !isExternalName(before)) spec.clusterIP = before.clusterIP
  if (!spec.clusterIP) {
    allocate(service, env)
    return
  }
  spec.clusterIPs = [spec.clusterIP]
  for (const port of objectsAt(spec, ['ports'])) {
    if (!hasNodePorts(spec)) {
      delete port.nodePort
      continue
    }
    const same = objectsAt(before, ['ports']).find(
      (candidate) => candidate.port === port.port && candidate.protocol === port.protocol,
    )
    if (!port.nodePort && same?.nodePort) port.nodePort = same.nodePort
    if (!port.nodePort) port.nodePort = env.allocateNodePort(undefined, service)
  }
}

function validatePort(port: Fields, field: string, many: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (!isPort(port.port))
    errors.push(invalidValue(`${field}.port`, port.port, 'must be between 1 and 65535, inclusive'))
  if (!protocols.includes(String(port.protocol))) {
    errors.push(unsupported(`${field}.protocol`, port.protocol, protocols))
  }
  if (many && !port.name) errors.push(required(`${field}.name`))
  if (typeof port.name === 'string' && port.name !== '' && !isDnsLabel(port.name)) {
    errors.push(invalidValue(`${field}.name`, port.name, labelMessage))
  }
  const target = port.targetPort
  if (typeof target === 'number' && !isPort(target)) {
    errors.push(invalidValue(`${field}.targetPort`, target, 'must be between 1 and 65535, inclusive'))
  }
  return errors
}

function validatePorts(spec: Fields): FieldError[] {
  const ports = objectsAt(spec, ['ports'])
  if (ports.length === 0 && !isExternalName(spec) && spec.clusterIP !== 'None')
    return [required('spec.ports')]
  const errors: FieldError[] = []
  const names = new Set<unknown>()
  const numbers = new Set<string>()
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`
    errors.push(...validatePort(port, field, ports.length > 1))
    if (port.name && names.has(port.name)) errors.push(duplicate(`${field}.name`, port.name))
    names.add(port.name)
    const number = `${String(port.protocol)}/${String(port.port)}`
    if (numbers.has(number)) errors.push(duplicate(field, { port: port.port, protocol: port.protocol }))
    numbers.add(number)
  }
  return errors
}

/** Services: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/. */
export const serviceStrategy: KindStrategy = {
  setDefaults: setServiceDefaults,
  prepareCreate(service, env) {
    service.status = { loadBalancer: {} }
    allocate(service, env)
  },
  prepareUpdate: keepAllocations,
  validate(service, old) {
    const spec = isObject(service.spec) ? service.spec : {}
    const errors = validatePorts(spec)
    if (!serviceTypes.includes(String(spec.type)))
      errors.push(unsupported('spec.type', spec.type, serviceTypes))
    if (isExternalName(spec) && !spec.externalName) errors.push(required('spec.externalName'))
    const before = stringAt(old, ['spec', 'clusterIP'])
    if (old && before && valueAt(old, ['spec', 'type']) !== 'ExternalName' && !isExternalName(spec)) {
      errors.push(...immutable(service, old, ['spec', 'clusterIP']))
    }
    return errors
  },
}

export const endpointSliceStrategy: KindStrategy = {
  setDefaults(slice) {
    for (const port of objectsAt(slice, ['ports'])) {
      setDefault(port, 'name', '')
      setDefault(port, 'protocol', 'TCP')
    }
  },
  validate(slice, old) {
    const errors: FieldError[] = []
    const types = ['IPv4', 'IPv6', 'FQDN']
    if (!types.includes(String(slice.addressType))) {
      errors.push(
        slice.addressType === undefined
          ? required('addressType')
          : unsupported('addressType', slice.addressType, types),
      )
    }
    return old ? [...errors, ...immutable(slice, old, ['addressType'])] : errors
  },
}
