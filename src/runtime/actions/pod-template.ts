import type { ManifestObject } from './manifest-input.ts'

/** Where each kind keeps its pod. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
}

/** What of a pod decides whether it can be meshed. Shapes are those of `core/v1`. */
export interface PodTemplate {
  metadata?: { annotations?: Record<string, unknown>; labels?: Record<string, unknown> }
  spec?: {
    hostNetwork?: boolean
    automountServiceAccountToken?: boolean
    containers?: PodContainer[]
    initContainers?: PodContainer[]
    volumes?: { name: string; projected?: { sources?: { serviceAccountToken?: unknown }[] } }[]
  }
}

export interface PodContainer {
  name: string
  image?: string
  ports?: { containerPort: number; protocol?: string }[]
}

/** Where the pod template of an object is, or `undefined` for a kind that has none. */
export function templatePath(object: ManifestObject): (string | number)[] | undefined {
  const below = templatePaths[object.kind]
  return below === undefined ? undefined : [...object.at, ...below]
}
