import { cloneJson, isObject, jsonEqual, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import type { KindStrategy } from '../registry/definition.ts'
import { type LabelSelector, labelsMatch } from '../selectors.ts'
import type { FieldError } from '../status.ts'
import { ensureObject, setDefault, setPodSpecDefaults } from './pod-defaults.ts'
import { validatePodSpec } from './pod-validation.ts'
import { immutable, invalidValue, required, unsupported } from './validation.ts'

type Fields = Record<string, unknown>

function templateSpec(spec: Fields): Fields {
  return ensureObject(ensureObject(spec, 'template'), 'spec')
}

/** The metadata of templates carries this field as null, as the API writes it. */
function setTemplateDefaults(spec: Fields): void {
  ensureObject(ensureObject(spec, 'template'), 'metadata')
  setPodSpecDefaults(templateSpec(spec))
}

function isEmptySelector(selector: unknown): boolean {
  if (!isObject(selector)) return true
  const labels = Object.keys((selector.matchLabels as object | undefined) ?? {})
  return labels.length === 0 && ((selector.matchExpressions as unknown[] | undefined) ?? []).length === 0
}

function validateSelector(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const selector = valueAt(object, ['spec', 'selector'])
  if (isEmptySelector(selector)) {
    return [
      required('spec.selector'),
      invalidValue('spec.selector', {}, 'empty selector is invalid for deployment'),
    ]
  }
  const errors = old ? immutable(object, old, ['spec', 'selector']) : []
  const labels = valueAt(object, ['spec', 'template', 'metadata', 'labels'])
  if (!labelsMatch(selector as LabelSelector, labels as Record<string, string> | undefined)) {
    const message = '`selector` does not match template `labels`'
    errors.push(invalidValue('spec.template.metadata.labels', labels, message))
  }
  return errors
}

function validateCount(object: StoredObject, path: string[]): FieldError[] {
  const value = valueAt(object, path)
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0)) return []
  return [invalidValue(path.join('.'), value, 'must be greater than or equal to 0')]
}

function validateWorkload(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const errors = [...validateCount(object, ['spec', 'replicas']), ...validateSelector(object, old)]
  errors.push(...validatePodSpec(valueAt(object, ['spec', 'template', 'spec']), 'spec.template.spec'))
  const policy = stringAt(object, ['spec', 'template', 'spec', 'restartPolicy'])
  if (policy !== 'Always') errors.push(unsupported('spec.template.spec.restartPolicy', policy, ['Always']))
  return errors
}

export const deploymentStrategy: KindStrategy = {
  setDefaults(object) {
    const spec = ensureObject(object, 'spec')
    setDefault(spec, 'replicas', 1)
    setDefault(spec, 'revisionHistoryLimit', 10)
    setDefault(spec, 'progressDeadlineSeconds', 600)
    const strategy = ensureObject(spec, 'strategy')
    setDefault(strategy, 'type', 'RollingUpdate')
    if (strategy.type === 'RollingUpdate') {
      const rolling = ensureObject(strategy, 'rollingUpdate')
      setDefault(rolling, 'maxUnavailable', '25%')
      setDefault(rolling, 'maxSurge', '25%')
    }
    setTemplateDefaults(spec)
  },
  prepareCreate(object) {
    object.status = {}
  },
  validate(object, old) {
    const errors = validateWorkload(object, old)
    const type = stringAt(object, ['spec', 'strategy', 'type'])
    if (type !== 'RollingUpdate' && type !== 'Recreate') {
      errors.push(unsupported('spec.strategy.type', type, ['Recreate', 'RollingUpdate']))
    }
    if (type === 'Recreate' && valueAt(object, ['spec', 'strategy', 'rollingUpdate'])) {
      const message = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
      errors.push({ field: 'spec.strategy.rollingUpdate', reason: 'FieldValueForbidden', message })
    }
    return errors
  },
}

export const replicaSetStrategy: KindStrategy = {
  setDefaults(object) {
    const spec = ensureObject(object, 'spec')
    setDefault(spec, 'replicas', 1)
    setTemplateDefaults(spec)
  },
  prepareCreate(object) {
    object.status = { replicas: 0 }
  },
  validate: validateWorkload,
}

export const statefulSetStrategy: KindStrategy = {
  setDefaults(object) {
    const spec = ensureObject(object, 'spec')
    setDefault(spec, 'replicas', 1)
    setDefault(spec, 'revisionHistoryLimit', 10)
    setDefault(spec, 'podManagementPolicy', 'OrderedReady')
    const strategy = ensureObject(spec, 'updateStrategy')
    setDefault(strategy, 'type', 'RollingUpdate')
    if (strategy.type === 'RollingUpdate') setDefault(ensureObject(strategy, 'rollingUpdate'), 'partition', 0)
    setTemplateDefaults(spec)
  },
  prepareCreate(object) {
    object.status = { replicas: 0, availableReplicas: 0 }
  },
  validate: validateWorkload,
}

export const daemonSetStrategy: KindStrategy = {
  setDefaults(object) {
    const spec = ensureObject(object, 'spec')
    setDefault(spec, 'revisionHistoryLimit', 10)
    const strategy = ensureObject(spec, 'updateStrategy')
    setDefault(strategy, 'type', 'RollingUpdate')
    if (strategy.type === 'RollingUpdate') {
      const rolling = ensureObject(strategy, 'rollingUpdate')
      setDefault(rolling, 'maxUnavailable', 1)
      setDefault(rolling, 'maxSurge', 0)
    }
    setTemplateDefaults(spec)
  },
  prepareCreate(object) {
    object.status = {
      currentNumberScheduled: 0,
      desiredNumberScheduled: 0,
      numberMisscheduled: 0,
      numberReady: 0,
    }
  },
  validate: validateWorkload,
}

function setJobSpecDefaults(spec: Fields): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  setDefault(spec, 'parallelism', 1)
  setDefault(spec, 'backoffLimit', 6)
  setDefault(spec, 'completionMode', 'NonIndexed')
  setDefault(spec, 'suspend', false)
  setDefault(spec, 'manualSelector', false)
  setDefault(spec, 'podReplacementPolicy', 'TerminatingOrFailed')
  if (spec.manualSelector === false) delete spec.manualSelector
  setTemplateDefaults(spec)
}

/** Pods of a job are found by the job's uid, which the server writes into selector and template. */
function addJobSelector(job: StoredObject): void {
  const spec = ensureObject(job, 'spec')
  if (spec.manualSelector === true) return
  const uid = job.metadata.uid ?? ''
  spec.selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } }
  const labels = ensureObject(ensureObject(ensureObject(spec, 'template'), 'metadata'), 'labels')
  labels['batch.kubernetes.io/controller-uid'] = uid
  labels['batch.kubernetes.io/job-name'] = job.metadata.name
  labels['controller-uid'] = uid
  labels['job-name'] = job.metadata.name
}

function validateJobSpec(spec: unknown, field: string): FieldError[] {
  const errors = validatePodSpec(valueAt(spec, ['template', 'spec']), `${field}.template.spec`)
  const policy = stringAt(spec, ['template', 'spec', 'restartPolicy'])
  if (policy === 'Always') {
    errors.push(unsupported(`${field}.template.spec.restartPolicy`, policy, ['OnFailure', 'Never']))
  }
  return errors
}

export const jobStrategy: KindStrategy = {
  setDefaults(object) {
    setJobSpecDefaults(ensureObject(object, 'spec'))
  },
  prepareCreate(object) {
    object.status = {}
    addJobSelector(object)
  },
  validate(object, old) {
    const errors = validateJobSpec(object.spec, 'spec')
    if (old) {
      errors.push(
        ...immutable(object, old, ['spec', 'selector']),
        ...immutable(object, old, ['spec', 'completions']),
      )
      const before = valueAt(old, ['spec', 'template'])
      const after = valueAt(object, ['spec', 'template'])
      if (!jsonEqual(before, after))
        errors.push(invalidValue('spec.template', cloneJson(after), 'field is immutable'))
    }
    return errors
  },
}

export const cronJobStrategy: KindStrategy = {
  setDefaults(object) {
    const spec = ensureObject(object, 'spec')
    setDefault(spec, 'concurrencyPolicy', 'Allow')
    setDefault(spec, 'suspend', false)
    setDefault(spec, 'successfulJobsHistoryLimit', 3)
    setDefault(spec, 'failedJobsHistoryLimit', 1)
    const template = ensureObject(ensureObject(spec, 'jobTemplate'), 'spec')
    setTemplateDefaults(template)
  },
  prepareCreate(object) {
    object.status = {}
  },
  validate(object) {
    const errors = validateJobSpec(valueAt(object, ['spec', 'jobTemplate', 'spec']), 'spec.jobTemplate.spec')
    if (!stringAt(object, ['spec', 'schedule'])) errors.push(required('spec.schedule'))
    return errors
  },
}
