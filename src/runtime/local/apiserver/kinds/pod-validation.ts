import { isObject, objectsAt } from '../json.ts'
import type { FieldError } from '../status.ts'
import {
  duplicate,
  invalidValue,
  isDnsLabel,
  isPort,
  labelMessage,
  required,
  unsupported,
} from './validation.ts'

type Fields = Record<string, unknown>

const restartPolicies = ['Always', 'OnFailure', 'Never']
const protocols = ['SCTP', 'TCP', 'UDP']
const environmentName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/

function validatePorts(container: Fields, field: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<unknown>()
  for (const [index, port] of objectsAt(container, ['ports']).entries()) {
    const path = `${field}.ports[${index}]`
    if (port.containerPort === undefined) errors.push(required(`${path}.containerPort`))
    else if (!isPort(port.containerPort)) {
      errors.push(
        invalidValue(`${path}.containerPort`, port.containerPort, 'must be between 1 and 65535, inclusive'),
      )
    }
    if (!protocols.includes(String(port.protocol))) {
      errors.push(unsupported(`${path}.protocol`, port.protocol, protocols))
    }
    if (port.name === undefined) continue
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name))
    names.add(port.name)
  }
  return errors
}

function validateEnvironment(container: Fields, field: string): FieldError[] {
  return objectsAt(container, ['env']).flatMap((variable, index) => {
    const path = `${field}.env[${index}].name`
    if (typeof variable.name !== 'string' || variable.name === '') return [required(path)]
    if (environmentName.test(variable.name)) return []
    return [
      invalidValue(
        path,
        variable.name,
        'a valid environment variable name must consist of alphabetic characters, digits, "_", "-", or ".", and must not start with a digit',
      ),
    ]
  })
}

const probeHandlers = ['exec', 'httpGet', 'tcpSocket', 'grpc']

function validateProbes(container: Fields, field: string): FieldError[] {
  return ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((key) => {
    const probe = container[key]
    if (!isObject(probe)) return []
    const handlers = probeHandlers.filter((handler) => isObject(probe[handler]))
    if (handlers.length === 0) return [required(`${field}.${key}`, 'must specify a handler type')]
    if (handlers.length === 1) return []
    const path = `${field}.${key}.${handlers[1]}`
    return [
      {
        field: path,
        reason: 'FieldValueForbidden' as const,
        message: 'Forbidden: may not specify more than 1 handler type',
      },
    ]
  })
}

function validateMounts(container: Fields, field: string, volumes: ReadonlySet<string>): FieldError[] {
  const errors: FieldError[] = []
  const paths = new Set<unknown>()
  for (const [index, mount] of objectsAt(container, ['volumeMounts']).entries()) {
    const path = `${field}.volumeMounts[${index}]`
    if (typeof mount.name !== 'string' || mount.name === '') errors.push(required(`${path}.name`))
    else if (!volumes.has(mount.name)) {
      errors.push({
        field: `${path}.name`,
        reason: 'FieldValueInvalid',
        message: `Not found: ${JSON.stringify(mount.name)}`,
      })
    }
    if (typeof mount.mountPath !== 'string' || mount.mountPath === '')
      errors.push(required(`${path}.mountPath`))
    else if (paths.has(mount.mountPath)) {
      errors.push(invalidValue(`${path}.mountPath`, mount.mountPath, 'must be unique'))
    }
    paths.add(mount.mountPath)
  }
  return errors
}

function validateContainer(container: Fields, field: string, volumes: ReadonlySet<string>): FieldError[] {
  const errors: FieldError[] = []
  if (typeof container.name !== 'string' || container.name === '') errors.push(required(`${field}.name`))
  else if (!isDnsLabel(container.name))
    errors.push(invalidValue(`${field}.name`, container.name, labelMessage))
  if (typeof container.image !== 'string' || container.image === '') errors.push(required(`${field}.image`))
  return [
    ...errors,
    ...validatePorts(container, field),
    ...validateEnvironment(container, field),
    ...validateProbes(container, field),
    ...validateMounts(container, field, volumes),
  ]
}

function validateVolumes(spec: Fields, field: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<unknown>()
  for (const [index, volume] of objectsAt(spec, ['volumes']).entries()) {
    const path = `${field}.volumes[${index}].name`
    if (typeof volume.name !== 'string' || volume.name === '') errors.push(required(path))
    else if (!isDnsLabel(volume.name)) errors.push(invalidValue(path, volume.name, labelMessage))
    else if (names.has(volume.name)) errors.push(duplicate(path, volume.name))
    names.add(volume.name)
  }
  return errors
}

/** Errors of a PodSpec. */
export function validatePodSpec(spec: unknown, field: string): FieldError[] {
  if (!isObject(spec)) return [required(field)]
  const containers = objectsAt(spec, ['containers'])
  const errors = validateVolumes(spec, field)
  if (containers.length === 0) errors.push(required(`${field}.containers`))
  const volumes = new Set(objectsAt(spec, ['volumes']).map((volume) => String(volume.name)))
  const names = new Set<unknown>()
  for (const key of ['initContainers', 'containers']) {
    for (const [index, container] of objectsAt(spec, [key]).entries()) {
      const path = `${field}.${key}[${index}]`
      errors.push(...validateContainer(container, path, volumes))
      if (names.has(container.name)) errors.push(duplicate(`${path}.name`, container.name))
      names.add(container.name)
    }
  }
  if (!restartPolicies.includes(String(spec.restartPolicy))) {
    errors.push(unsupported(`${field}.restartPolicy`, spec.restartPolicy, restartPolicies))
  }
  return errors
}
