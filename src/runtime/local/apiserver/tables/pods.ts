import { isObject, objectsAt, stringAt, valueAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { humanDuration } from './age.ts'
import { ageColumn, type Column, nameColumn, text, wide } from './column.ts'

type ContainerStatus = Record<string, unknown>

/** What the STATUS, READY and RESTARTS columns are made of. */
interface PodSummary {
  reason: string
  ready: number
  total: number
  restarts: number
  lastRestartMs: number
}

function restartCount(status: ContainerStatus): number {
  return typeof status.restartCount === 'number' ? status.restartCount : 0
}

function restartedAtMs(status: ContainerStatus): number {
  const time = stringAt(status, ['lastState', 'terminated', 'finishedAt'])
  return time === undefined ? 0 : Date.parse(time)
}

/** `Error`, `ExitCode:1` or `Signal:9`: why a container ended. */
function terminationReason(terminated: Record<string, unknown>): string {
  if (typeof terminated.reason === 'string' && terminated.reason !== '') return terminated.reason
  if (typeof terminated.signal === 'number' && terminated.signal !== 0) return `Signal:${terminated.signal}`
  return `ExitCode:${String(terminated.exitCode ?? 0)}`
}

/** The names of init containers that keep running beside the others (KEP-753). */
function sidecarNames(pod: StoredObject): Set<string> {
  const sidecars = objectsAt(pod, ['spec', 'initContainers']).filter(
    (container) => container.restartPolicy === 'Always',
  )
  return new Set(sidecars.map((container) => String(container.name)))
}

/** The reason that the first unfinished init container gives; undefined when all are done. */
function initReason(status: ContainerStatus, index: number, total: number): string | undefined {
  const terminated = valueAt(status, ['state', 'terminated'])
  if (isObject(terminated)) {
    if (terminated.exitCode === 0) return undefined
    return `Init:${terminationReason(terminated)}`
  }
  const waiting = stringAt(status, ['state', 'waiting', 'reason'])
  if (waiting && waiting !== 'PodInitializing') return `Init:${waiting}`
  return `Init:${index}/${total}`
}

function addInitContainers(pod: StoredObject, summary: PodSummary): boolean {
  const sidecars = sidecarNames(pod)
  const statuses = objectsAt(pod, ['status', 'initContainerStatuses'])
  const total = objectsAt(pod, ['spec', 'initContainers']).length
  for (const [index, status] of statuses.entries()) {
    summary.restarts += restartCount(status)
    summary.lastRestartMs = Math.max(summary.lastRestartMs, restartedAtMs(status))
    const isSidecar = sidecars.has(String(status.name))
    if (isSidecar && status.started === true) {
      if (status.ready === true) summary.ready += 1
      continue
    }
    const reason = initReason(status, index, total)
    if (reason === undefined) continue
    summary.reason = reason
    return true
  }
  return false
}

function containerReason(status: ContainerStatus): string | undefined {
  const waiting = stringAt(status, ['state', 'waiting', 'reason'])
  if (waiting) return waiting
  const terminated = valueAt(status, ['state', 'terminated'])
  return isObject(terminated) ? terminationReason(terminated) : undefined
}

function addContainers(pod: StoredObject, summary: PodSummary): void {
  const sidecars = sidecarNames(pod)
  const initStatuses = objectsAt(pod, ['status', 'initContainerStatuses'])
  summary.restarts = initStatuses
    .filter((status) => sidecars.has(String(status.name)))
    .reduce((sum, status) => sum + restartCount(status), 0)
  let someRunning = false
  for (const status of objectsAt(pod, ['status', 'containerStatuses']).reverse()) {
    summary.restarts += restartCount(status)
    summary.lastRestartMs = Math.max(summary.lastRestartMs, restartedAtMs(status))
    summary.reason = containerReason(status) ?? summary.reason
    if (status.ready === true && isObject(valueAt(status, ['state', 'running']))) {
      someRunning = true
      summary.ready += 1
    }
  }
  if (summary.reason === 'Completed' && someRunning) {
    const ready = objectsAt(pod, ['status', 'conditions']).some(
      (condition) => condition.type === 'Ready' && condition.status === 'True',
    )
    summary.reason = ready ? 'Running' : 'NotReady'
  }
}

function summarize(pod: StoredObject): PodSummary {
  const reason = stringAt(pod, ['status', 'reason']) || stringAt(pod, ['status', 'phase']) || 'Unknown'
  const total = objectsAt(pod, ['spec', 'containers']).length + sidecarNames(pod).size
  const summary: PodSummary = { reason, ready: 0, total, restarts: 0, lastRestartMs: 0 }
  if (!addInitContainers(pod, summary)) addContainers(pod, summary)
  if (pod.metadata.deletionTimestamp !== undefined) {
    const phase = stringAt(pod, ['status', 'phase'])
    if (phase !== 'Succeeded' && phase !== 'Failed') summary.reason = 'Terminating'
  }
  return summary
}

function restartsText(pod: StoredObject, nowMs: number): string {
  const { restarts, lastRestartMs } = summarize(pod)
  if (restarts === 0 || lastRestartMs === 0) return String(restarts)
  return `${restarts} (${humanDuration(nowMs - lastRestartMs)} ago)`
}

function readinessGates(pod: StoredObject): string {
  const gates = objectsAt(pod, ['spec', 'readinessGates'])
  if (gates.length === 0) return '<none>'
  const conditions = objectsAt(pod, ['status', 'conditions'])
  const passed = gates.filter((gate) =>
    conditions.some((condition) => condition.type === gate.conditionType && condition.status === 'True'),
  )
  return `${passed.length}/${gates.length}`
}

/** The columns of `kubectl get pods`. */
export const podColumns: Column[] = [
  nameColumn,
  text('Ready', (pod) => {
    const { ready, total } = summarize(pod)
    return `${ready}/${total}`
  }),
  text('Status', (pod) => summarize(pod).reason),
  text('Restarts', restartsText),
  ageColumn,
  wide('IP', (pod) => stringAt(pod, ['status', 'podIP']) || '<none>'),
  wide('Node', (pod) => stringAt(pod, ['spec', 'nodeName']) || '<none>'),
  wide('Nominated Node', (pod) => stringAt(pod, ['status', 'nominatedNodeName']) || '<none>'),
  wide('Readiness Gates', readinessGates),
]
