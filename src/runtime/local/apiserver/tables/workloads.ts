import { objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { ageOf, humanDuration } from './age.ts'
import { ageColumn, type Column, count, field, nameColumn, selectorText, text, wide } from './column.ts'

function numberAt(object: StoredObject, path: string, otherwise = 0): number {
  const value = valueAt(object, path.split('.'))
  return typeof value === 'number' ? value : otherwise
}

function containersOf(object: StoredObject, template: string[]): Record<string, unknown>[] {
  return objectsAt(object, [...template, 'spec', 'containers'])
}

function containerColumns(template: string[]): Column[] {
  const join = (key: string) => (object: StoredObject) =>
    containersOf(object, template)
      .map((container) => String(container[key] ?? ''))
      .join(',')
  return [wide('Containers', join('name')), wide('Images', join('image'))]
}

const templateColumns = containerColumns(['spec', 'template'])
const selectorColumn = wide('Selector', (object) => selectorText(valueAt(object, ['spec', 'selector'])))

export const deploymentColumns: Column[] = [
  nameColumn,
  text(
    'Ready',
    (object) => `${numberAt(object, 'status.readyReplicas')}/${numberAt(object, 'spec.replicas', 1)}`,
  ),
  count('Up-to-date', 'status.updatedReplicas'),
  count('Available', 'status.availableReplicas'),
  ageColumn,
  ...templateColumns,
  selectorColumn,
]

export const replicaSetColumns: Column[] = [
  nameColumn,
  count('Desired', 'spec.replicas', 1),
  count('Current', 'status.replicas'),
  count('Ready', 'status.readyReplicas'),
  ageColumn,
  ...templateColumns,
  selectorColumn,
]

export const statefulSetColumns: Column[] = [
  nameColumn,
  text(
    'Ready',
    (object) => `${numberAt(object, 'status.readyReplicas')}/${numberAt(object, 'spec.replicas', 1)}`,
  ),
  ageColumn,
  ...templateColumns,
]

export const daemonSetColumns: Column[] = [
  nameColumn,
  count('Desired', 'status.desiredNumberScheduled'),
  count('Current', 'status.currentNumberScheduled'),
  count('Ready', 'status.numberReady'),
  count('Up-to-date', 'status.updatedNumberScheduled'),
  count('Available', 'status.numberAvailable'),
  text('Node Selector', (object) => {
    const selector = valueAt(object, ['spec', 'template', 'spec', 'nodeSelector'])
    return selectorText({ matchLabels: selector })
  }),
  ageColumn,
  ...templateColumns,
  selectorColumn,
]

function jobStatus(job: StoredObject): string {
  const conditions = objectsAt(job, ['status', 'conditions'])
  const has = (type: string) =>
    conditions.some((condition) => condition.type === type && condition.status === 'True')
  if (has('Complete')) return 'Complete'
  if (has('Failed')) return 'Failed'
  if (job.metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (has('Suspended')) return 'Suspended'
  if (has('FailureTarget')) return 'FailureTarget'
  return 'Running'
}

function jobCompletions(job: StoredObject): string {
  const succeeded = numberAt(job, 'status.succeeded')
  const completions = valueAt(job, ['spec', 'completions'])
  if (typeof completions === 'number') return `${succeeded}/${completions}`
  const parallelism = numberAt(job, 'spec.parallelism')
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function jobDuration(job: StoredObject, nowMs: number): string {
  const start = stringAt(job, ['status', 'startTime'])
  if (start === undefined) return ''
  const end = stringAt(job, ['status', 'completionTime'])
  return humanDuration((end === undefined ? nowMs : Date.parse(end)) - Date.parse(start))
}

export const jobColumns: Column[] = [
  nameColumn,
  text('Status', jobStatus),
  text('Completions', jobCompletions),
  text('Duration', jobDuration),
  ageColumn,
  ...templateColumns,
  selectorColumn,
]

export const cronJobColumns: Column[] = [
  nameColumn,
  field('Schedule', 'spec.schedule'),
  field('Timezone', 'spec.timeZone'),
  text('Suspend', (object) => (valueAt(object, ['spec', 'suspend']) === true ? 'True' : 'False')),
  text('Active', (object) => objectsAt(object, ['status', 'active']).length),
  text('Last Schedule', (object, nowMs) => {
    const time = stringAt(object, ['status', 'lastScheduleTime'])
    return time === undefined ? '<none>' : ageOf(time, nowMs)
  }),
  ageColumn,
  ...containerColumns(['spec', 'jobTemplate', 'spec', 'template']),
]
