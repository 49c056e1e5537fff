import { isObject, jsonEqual, objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { KindStrategy } from '../registry/definition.ts'
import type { FieldError } from '../status.ts'
import { ensureObject, setDefault, setPodSpecDefaults } from './pod-defaults.ts'
import { validatePodSpec } from './pod-validation.ts'
import { immutable } from './validation.ts'

const computeResources = ['cpu', 'memory']

function qosClassOf(pod: StoredObject): string {
  const containers = [
    ...objectsAt(pod, ['spec', 'containers']),
    ...objectsAt(pod, ['spec', 'initContainers']),
  ]
  let someResource = false
  let allGuaranteed = true
  for (const container of containers) {
    for (const name of computeResources) {
      const request = valueAt(container, ['resources', 'requests', name])
      const limit = valueAt(container, ['resources', 'limits', name])
      if (request !== undefined || limit !== undefined) someResource = true
      if (limit === undefined || request !== limit) allGuaranteed = false
    }
  }
  if (!someResource) return 'BestEffort'
  return allGuaranteed ? 'Guaranteed' : 'Burstable'
}

/** Fields of a container that may change while the pod lives. */
function withoutImages(spec: Record<string, unknown>): Record<string, unknown> {
  const strip = (key: string) => objectsAt(spec, [key]).map((container) => ({ ...container, image: '' }))
  return {
    ...spec,
    containers: strip('containers'),
    initContainers: strip('initContainers'),
    ephemeralContainers: undefined,
    tolerations: undefined,
    activeDeadlineSeconds: undefined,
    terminationGracePeriodSeconds: undefined,
    schedulingGates: undefined,
    nodeName: undefined,
  }
}

const immutableSpec =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

function validateChange(pod: StoredObject, old: StoredObject): FieldError[] {
  const before = isObject(old.spec) ? old.spec : {}
  const after = isObject(pod.spec) ? pod.spec : {}
  const errors: FieldError[] = []
  if (!jsonEqual(withoutImages(before), withoutImages(after))) {
    errors.push({ field: 'spec', reason: 'FieldValueForbidden', message: `Forbidden: ${immutableSpec}` })
  }
  if (stringAt(before, ['nodeName'])) errors.push(...immutable(pod, old, ['spec', 'nodeName']))
  return errors
}

/** Pods: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/. */
export const podStrategy: KindStrategy = {
  setDefaults(pod) {
    const spec = ensureObject(pod, 'spec')
    setPodSpecDefaults(spec)
    setDefault(spec, 'enableServiceLinks', true)
  },
  prepareCreate(pod) {
    pod.status = { phase: 'Pending', qosClass: qosClassOf(pod) }
  },
  validate(pod, old) {
    const errors = validatePodSpec(pod.spec, 'spec')
    return old ? [...errors, ...validateChange(pod, old)] : errors
  },
}
