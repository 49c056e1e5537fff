import { isObject, objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { ageOf } from './age.ts'
import { ageColumn, type Column, count, field, nameColumn, text, wide } from './column.ts'

function sizeAt(key: string): (object: StoredObject) => number {
  return (object) => {
    const value = object[key]
    return Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : 0
  }
}

export const namespaceColumns: Column[] = [nameColumn, field('Status', 'status.phase'), ageColumn]

export const configMapColumns: Column[] = [
  nameColumn,
  text('Data', (object) => sizeAt('data')(object) + sizeAt('binaryData')(object)),
  ageColumn,
]

export const secretColumns: Column[] = [
  nameColumn,
  field('Type', 'type'),
  text('Data', sizeAt('data')),
  ageColumn,
]

export const serviceAccountColumns: Column[] = [nameColumn, text('Secrets', sizeAt('secrets')), ageColumn]

function nodeStatus(node: StoredObject): string {
  const ready = objectsAt(node, ['status', 'conditions']).find((condition) => condition.type === 'Ready')
  const state = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'
  return valueAt(node, ['spec', 'unschedulable']) === true ? `${state},SchedulingDisabled` : state
}

function nodeRoles(node: StoredObject): string {
  const prefix = 'node-role.kubernetes.io/'
  const roles = Object.keys(node.metadata.labels ?? {}).filter((label) => label.startsWith(prefix))
  return roles.length === 0
    ? '<none>'
    : roles
        .map((label) => label.slice(prefix.length))
        .sort()
        .join(',')
}

function nodeAddress(type: string): (node: StoredObject) => string {
  return (node) => {
    const address = objectsAt(node, ['status', 'addresses']).find((item) => item.type === type)
    return address === undefined ? '<none>' : String(address.address)
  }
}

function wideField(name: string, path: string): Column {
  return { ...field(name, path, '<unknown>'), priority: 1 }
}

export const nodeColumns: Column[] = [
  nameColumn,
  text('Status', nodeStatus),
  text('Roles', nodeRoles),
  ageColumn,
  field('Version', 'status.nodeInfo.kubeletVersion'),
  wide('Internal-IP', nodeAddress('InternalIP')),
  wide('External-IP', nodeAddress('ExternalIP')),
  wideField('OS-Image', 'status.nodeInfo.osImage'),
  wideField('Kernel-Version', 'status.nodeInfo.kernelVersion'),
  wideField('Container-Runtime', 'status.nodeInfo.containerRuntimeVersion'),
]

function eventObject(event: StoredObject): string {
  const kind = stringAt(event, ['involvedObject', 'kind']) ?? ''
  return `${kind.toLowerCase()}/${stringAt(event, ['involvedObject', 'name']) ?? ''}`
}

export const eventColumns: Column[] = [
  text('Last Seen', (event, nowMs) => {
    const time = event.lastTimestamp || event.eventTime || event.firstTimestamp
    return ageOf(time, nowMs)
  }),
  field('Type', 'type'),
  field('Reason', 'reason'),
  text('Object', eventObject),
  { ...field('Subobject', 'involvedObject.fieldPath', ''), priority: 1 },
  { ...field('Source', 'source.component', ''), priority: 1 },
  text('Message', (event) => String(event.message ?? '').trim()),
  wide('First Seen', (event, nowMs) => ageOf(event.firstTimestamp || event.eventTime, nowMs)),
  { ...count('Count', 'count', 1), priority: 1 },
  { ...nameColumn, priority: 1 },
]

export const leaseColumns: Column[] = [nameColumn, field('Holder', 'spec.holderIdentity', ''), ageColumn]

export const roleColumns: Column[] = [
  nameColumn,
  { ...text('Created At', (object) => object.metadata.creationTimestamp ?? null), type: 'date' },
]

function subjectsOf(binding: StoredObject, kind: string): string {
  return objectsAt(binding, ['subjects'])
    .filter((subject) => subject.kind === kind)
    .map((subject) =>
      subject.namespace ? `${String(subject.namespace)}/${String(subject.name)}` : String(subject.name),
    )
    .join(', ')
}

export const bindingColumns: Column[] = [
  nameColumn,
  text(
    'Role',
    (binding) => `${stringAt(binding, ['roleRef', 'kind'])}/${stringAt(binding, ['roleRef', 'name'])}`,
  ),
  ageColumn,
  wide('Users', (binding) => subjectsOf(binding, 'User')),
  wide('Groups', (binding) => subjectsOf(binding, 'Group')),
  wide('ServiceAccounts', (binding) => subjectsOf(binding, 'ServiceAccount')),
]

export const webhookConfigurationColumns: Column[] = [
  nameColumn,
  text('Webhooks', sizeAt('webhooks')),
  ageColumn,
]

export const disruptionBudgetColumns: Column[] = [
  nameColumn,
  field('Min Available', 'spec.minAvailable', 'N/A'),
  field('Max Unavailable', 'spec.maxUnavailable', 'N/A'),
  count('Allowed Disruptions', 'status.disruptionsAllowed'),
  ageColumn,
]
