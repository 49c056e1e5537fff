import { isObject, objectsAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { KindStrategy } from '../registry/definition.ts'
import type { FieldError } from '../status.ts'
import { ensureObject, setDefault } from './pod-defaults.ts'
import { immutable, invalidValue, required } from './validation.ts'

const rbacGroup = 'rbac.authorization.k8s.io'

export const namespaceStrategy: KindStrategy = {
  setDefaults(namespace) {
    if (namespace.metadata.name === undefined) return
    namespace.metadata.labels = {
      ...namespace.metadata.labels,
      'kubernetes.io/metadata.name': namespace.metadata.name,
    }
  },
  prepareCreate(namespace) {
    namespace.spec = { finalizers: ['kubernetes'] }
    namespace.status = { phase: 'Active' }
  },
  prepareUpdate(namespace, old) {
    namespace.spec = old.spec
  },
}

const dataKey = /^[-._a-zA-Z0-9]+$/
const maxDataBytes = 1024 * 1024

function validateData(object: StoredObject, fields: readonly string[]): FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const field of fields) {
    const data = object[field]
    if (data === undefined || data === null) continue
    if (!isObject(data)) {
      errors.push(invalidValue(field, data, 'must be an object of strings'))
      continue
    }
    for (const [key, value] of Object.entries(data)) {
      const why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
      if (!dataKey.test(key) || key.length > 253) errors.push(invalidValue(`${field}[${key}]`, key, why))
      if (typeof value === 'string') size += value.length
      else errors.push(invalidValue(`${field}[${key}]`, value, 'must be a string'))
    }
  }
  if (size > maxDataBytes)
    errors.push({
      field: '',
      reason: 'FieldValueInvalid',
      message: `Too long: may not be more than ${maxDataBytes} bytes`,
    })
  return errors
}

/** What `immutable: true` promises. */
function validateFrozen(object: StoredObject, old: StoredObject | undefined, fields: string[]): FieldError[] {
  if (old?.immutable !== true) return []
  return fields
    .flatMap((field) => immutable(object, old, [field]))
    .map((error) => ({
      ...error,
      reason: 'FieldValueForbidden',
      message: 'Forbidden: field is immutable when `immutable` is set',
    }))
}

export const configMapStrategy: KindStrategy = {
  validate: (object, old) => [
    ...validateData(object, ['data', 'binaryData']),
    ...validateFrozen(object, old, ['data', 'binaryData', 'immutable']),
  ],
}

export const secretStrategy: KindStrategy = {
  setDefaults(secret) {
    setDefault(secret, 'type', 'Opaque')
    if (!isObject(secret.stringData)) return
    const data = ensureObject(secret, 'data')
    for (const [key, value] of Object.entries(secret.stringData)) {
      data[key] = Buffer.from(String(value)).toString('base64')
    }
    delete secret.stringData
  },
  validate(secret, old) {
    const errors = validateData(secret, ['data'])
    if (secret.type === 'kubernetes.io/tls') {
      for (const key of ['tls.crt', 'tls.key']) {
        if (valueAt(secret, ['data', key]) === undefined) errors.push(required(`data[${key}]`))
      }
    }
    for (const [key, value] of Object.entries(isObject(secret.data) ? secret.data : {})) {
      if (typeof value === 'string' && !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value)) {
        errors.push(invalidValue(`data[${key}]`, '<redacted>', 'must be base64'))
      }
    }
    if (old) errors.push(...immutable(secret, old, ['type']))
    return [...errors, ...validateFrozen(secret, old, ['data', 'immutable'])]
  },
}

export const roleStrategy: KindStrategy = {
  setDefaults(role) {
    setDefault(role, 'rules', [])
  },
}

function defaultSubject(subject: Record<string, unknown>): void {
  setDefault(subject, 'apiGroup', subject.kind === 'ServiceAccount' ? '' : rbacGroup)
  if (subject.apiGroup === '') delete subject.apiGroup
}

export const roleBindingStrategy: KindStrategy = {
  setDefaults(binding) {
    if (isObject(binding.roleRef)) setDefault(binding.roleRef, 'apiGroup', rbacGroup)
    for (const subject of objectsAt(binding, ['subjects'])) defaultSubject(subject)
  },
  validate(binding, old) {
    const errors = old ? immutable(binding, old, ['roleRef']) : []
    if (!valueAt(binding, ['roleRef', 'name'])) errors.push(required('roleRef.name'))
    if (!valueAt(binding, ['roleRef', 'kind'])) errors.push(required('roleRef.kind'))
    for (const [index, subject] of objectsAt(binding, ['subjects']).entries()) {
      if (!subject.name) errors.push(required(`subjects[${index}].name`))
      if (subject.kind === 'ServiceAccount' && !subject.namespace)
        errors.push(required(`subjects[${index}].namespace`))
    }
    return errors
  },
}

/** Webhook configurations: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/. */
export const webhookStrategy: KindStrategy = {
  setDefaults(configuration) {
    for (const webhook of objectsAt(configuration, ['webhooks'])) {
      setDefault(webhook, 'failurePolicy', 'Fail')
      setDefault(webhook, 'matchPolicy', 'Equivalent')
      setDefault(webhook, 'namespaceSelector', {})
      setDefault(webhook, 'objectSelector', {})
      setDefault(webhook, 'timeoutSeconds', 10)
      if (configuration.kind === 'MutatingWebhookConfiguration')
        setDefault(webhook, 'reinvocationPolicy', 'Never')
      for (const rule of objectsAt(webhook, ['rules'])) setDefault(rule, 'scope', '*')
      const service = valueAt(webhook, ['clientConfig', 'service'])
      if (isObject(service)) setDefault(service, 'port', 443)
    }
  },
  validate(configuration) {
    return objectsAt(configuration, ['webhooks']).flatMap((webhook, index) =>
      validateWebhook(webhook, `webhooks[${index}]`),
    )
  },
}

function validateWebhook(webhook: Record<string, unknown>, field: string): FieldError[] {
  const errors: FieldError[] = []
  if (typeof webhook.name !== 'string' || webhook.name.split('.').length < 3) {
    errors.push(
      invalidValue(
        `${field}.name`,
        webhook.name,
        'should be a domain with at least three segments separated by dots',
      ),
    )
  }
  const config = isObject(webhook.clientConfig) ? webhook.clientConfig : {}
  if ((config.url === undefined) === (config.service === undefined)) {
    errors.push(required(`${field}.clientConfig`, 'exactly one of url or service is required'))
  }
  if (!['None', 'NoneOnDryRun'].includes(String(webhook.sideEffects))) {
    errors.push(required(`${field}.sideEffects`, 'must specify one of None, NoneOnDryRun'))
  }
  const versions = webhook.admissionReviewVersions
  if (!Array.isArray(versions) || !versions.includes('v1')) {
    errors.push(required(`${field}.admissionReviewVersions`, 'must specify one of v1, v1beta1'))
  }
  const timeout = webhook.timeoutSeconds
  if (typeof timeout !== 'number' || timeout < 1 || timeout > 30) {
    errors.push(
      invalidValue(`${field}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'),
    )
  }
  return errors
}

export const networkPolicyStrategy: KindStrategy = {
  setDefaults(policy) {
    const spec = ensureObject(policy, 'spec')
    if (spec.policyTypes === undefined) {
      spec.policyTypes = Array.isArray(spec.egress) ? ['Ingress', 'Egress'] : ['Ingress']
    }
    for (const direction of ['ingress', 'egress']) {
      for (const rule of objectsAt(spec, [direction])) {
        for (const port of objectsAt(rule, ['ports'])) setDefault(port, 'protocol', 'TCP')
      }
    }
  },
}
