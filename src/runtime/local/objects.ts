import type { KubeObject, ObjectMeta } from '../kube/types.ts'

/** The fields of Kubernetes objects that the local cluster reads and writes. See the API reference, v1.32. */

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastUpdateTime?: string
  lastProbeTime?: string | null
  observedGeneration?: number
}

// === Pods ===

export interface Pod extends KubeObject {
  metadata: ObjectMeta & { deletionGracePeriodSeconds?: number }
  spec: PodSpec
  status?: PodStatus
}

export interface PodSpec {
  nodeName?: string
  hostNetwork?: boolean
  hostname?: string
  subdomain?: string
  setHostnameAsFQDN?: boolean
  serviceAccountName?: string
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  terminationGracePeriodSeconds?: number
  activeDeadlineSeconds?: number
  initContainers?: Container[]
  containers: Container[]
  volumes?: Volume[]
  securityContext?: PodSecurityContext
  hostAliases?: { ip: string; hostnames?: string[] }[]
  dnsPolicy?: string
  dnsConfig?: { nameservers?: string[]; searches?: string[]; options?: { name?: string; value?: string }[] }
  nodeSelector?: Record<string, string>
  priority?: number
}

export interface Container {
  name: string
  image?: string
  command?: string[]
  args?: string[]
  workingDir?: string
  env?: EnvVar[]
  envFrom?: EnvFromSource[]
  ports?: ContainerPort[]
  volumeMounts?: VolumeMount[]
  securityContext?: SecurityContext
  resources?: { limits?: Record<string, string>; requests?: Record<string, string> }
  startupProbe?: Probe
  livenessProbe?: Probe
  readinessProbe?: Probe
  lifecycle?: { postStart?: LifecycleHandler; preStop?: LifecycleHandler }
  /** `Always` on an init container makes it a sidecar (KEP-753). */
  restartPolicy?: string
  terminationMessagePath?: string
  terminationMessagePolicy?: string
}

export interface ContainerPort {
  name?: string
  containerPort: number
  protocol?: string
  hostPort?: number
}

export interface EnvVar {
  name: string
  value?: string
  valueFrom?: {
    fieldRef?: FieldRef
    resourceFieldRef?: ResourceFieldRef
    configMapKeyRef?: KeyRef
    secretKeyRef?: KeyRef
  }
}

export interface EnvFromSource {
  prefix?: string
  configMapRef?: { name: string; optional?: boolean }
  secretRef?: { name: string; optional?: boolean }
}

export interface FieldRef {
  fieldPath: string
}

export interface ResourceFieldRef {
  containerName?: string
  resource: string
  divisor?: string
}

export interface KeyRef {
  name: string
  key: string
  optional?: boolean
}

export interface VolumeMount {
  name: string
  mountPath: string
  readOnly?: boolean
  subPath?: string
  subPathExpr?: string
}

export interface KeyToPath {
  key: string
  path: string
  mode?: number
}

export interface DownwardItem {
  path: string
  fieldRef?: FieldRef
  resourceFieldRef?: ResourceFieldRef
  mode?: number
}

export interface ProjectedSource {
  serviceAccountToken?: { audience?: string; expirationSeconds?: number; path: string }
  configMap?: { name: string; items?: KeyToPath[]; optional?: boolean }
  secret?: { name: string; items?: KeyToPath[]; optional?: boolean }
  downwardAPI?: { items?: DownwardItem[] }
}

export interface Volume {
  name: string
  emptyDir?: { medium?: string; sizeLimit?: string }
  hostPath?: { path: string; type?: string }
  configMap?: { name: string; items?: KeyToPath[]; optional?: boolean; defaultMode?: number }
  secret?: { secretName: string; items?: KeyToPath[]; optional?: boolean; defaultMode?: number }
  downwardAPI?: { items?: DownwardItem[]; defaultMode?: number }
  projected?: { sources?: ProjectedSource[]; defaultMode?: number }
}

export interface PodSecurityContext {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot?: boolean
  fsGroup?: number
  supplementalGroups?: number[]
  sysctls?: { name: string; value: string }[]
}

export interface SecurityContext {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot?: boolean
  privileged?: boolean
  allowPrivilegeEscalation?: boolean
  readOnlyRootFilesystem?: boolean
  capabilities?: { add?: string[]; drop?: string[] }
}

export interface HttpGetAction {
  path?: string
  port: number | string
  host?: string
  scheme?: string
  httpHeaders?: { name: string; value: string }[]
}

export interface Probe {
  httpGet?: HttpGetAction
  tcpSocket?: { port: number | string; host?: string }
  exec?: { command: string[] }
  grpc?: { port: number; service?: string }
  initialDelaySeconds?: number
  periodSeconds?: number
  timeoutSeconds?: number
  successThreshold?: number
  failureThreshold?: number
  terminationGracePeriodSeconds?: number
}

export interface LifecycleHandler {
  httpGet?: HttpGetAction
  tcpSocket?: { port: number | string; host?: string }
  exec?: { command: string[] }
  sleep?: { seconds: number }
}

export interface PodStatus {
  phase?: PodPhase
  reason?: string
  message?: string
  hostIP?: string
  hostIPs?: { ip: string }[]
  podIP?: string
  podIPs?: { ip: string }[]
  startTime?: string
  qosClass?: string
  conditions?: Condition[]
  initContainerStatuses?: ContainerStatus[]
  containerStatuses?: ContainerStatus[]
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed'

export interface ContainerStatus {
  name: string
  image: string
  imageID: string
  containerID?: string
  ready: boolean
  started?: boolean
  restartCount: number
  state: ContainerStateStatus
  lastState: ContainerStateStatus
}

export interface ContainerStateStatus {
  waiting?: { reason: string; message?: string }
  running?: { startedAt: string }
  terminated?: TerminatedStatus
}

export interface TerminatedStatus {
  exitCode: number
  signal?: number
  reason: string
  message?: string
  startedAt: string
  finishedAt: string
  containerID?: string
}

// === Workloads ===

export interface PodTemplate {
  metadata?: Partial<ObjectMeta>
  spec: PodSpec
}

export interface Deployment extends KubeObject {
  spec: {
    replicas?: number
    selector: LabelSelector
    template: PodTemplate
    paused?: boolean
    minReadySeconds?: number
    revisionHistoryLimit?: number
    progressDeadlineSeconds?: number
    strategy?: {
      type?: string
      rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string }
    }
  }
  status?: DeploymentStatus
}

export interface DeploymentStatus {
  observedGeneration?: number
  replicas?: number
  updatedReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  unavailableReplicas?: number
  conditions?: Condition[]
}

export interface ReplicaSet extends KubeObject {
  spec: {
    replicas?: number
    minReadySeconds?: number
    selector: LabelSelector
    template: PodTemplate
  }
  status?: ReplicaSetStatus
}

export interface ReplicaSetStatus {
  observedGeneration?: number
  replicas: number
  fullyLabeledReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
}

export interface Job extends KubeObject {
  spec: {
    completions?: number
    parallelism?: number
    backoffLimit?: number
    activeDeadlineSeconds?: number
    ttlSecondsAfterFinished?: number
    suspend?: boolean
    selector?: LabelSelector
    template: PodTemplate
  }
  status?: JobStatus
}

export interface JobStatus {
  active?: number
  ready?: number
  succeeded?: number
  failed?: number
  startTime?: string
  completionTime?: string
  conditions?: Condition[]
}

export interface StatefulSet extends KubeObject {
  spec: {
    replicas?: number
    serviceName?: string
    minReadySeconds?: number
    podManagementPolicy?: string
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } }
    selector: LabelSelector
    template: PodTemplate
  }
  status?: StatefulSetStatus
}

export interface StatefulSetStatus {
  observedGeneration?: number
  replicas: number
  readyReplicas?: number
  availableReplicas?: number
  currentReplicas?: number
  updatedReplicas?: number
  currentRevision?: string
  updateRevision?: string
}

export interface DaemonSet extends KubeObject {
  spec: {
    minReadySeconds?: number
    updateStrategy?: { type?: string }
    selector: LabelSelector
    template: PodTemplate
  }
  status?: DaemonSetStatus
}

export interface DaemonSetStatus {
  observedGeneration?: number
  currentNumberScheduled: number
  desiredNumberScheduled: number
  numberMisscheduled: number
  numberReady: number
  numberAvailable?: number
  numberUnavailable?: number
  updatedNumberScheduled?: number
}

export interface CronJob extends KubeObject {
  spec: {
    schedule: string
    /** IANA name; UTC when absent. */
    timeZone?: string
    suspend?: boolean
    concurrencyPolicy?: string
    startingDeadlineSeconds?: number
    successfulJobsHistoryLimit?: number
    failedJobsHistoryLimit?: number
    jobTemplate: { metadata?: Partial<ObjectMeta>; spec: Job['spec'] }
  }
  status?: { lastScheduleTime?: string; lastSuccessfulTime?: string; active?: { name: string }[] }
}

// === Services ===

export interface ServicePort {
  name?: string
  port: number
  protocol?: string
  targetPort?: number | string
  appProtocol?: string
  nodePort?: number
}

export interface Service extends KubeObject {
  spec: {
    type?: string
    clusterIP?: string
    clusterIPs?: string[]
    externalName?: string
    selector?: Record<string, string>
    ports?: ServicePort[]
    publishNotReadyAddresses?: boolean
  }
}

export interface EndpointPort {
  name?: string
  port: number
  protocol?: string
  appProtocol?: string
}

export interface Endpoint {
  addresses: string[]
  conditions: { ready: boolean; serving: boolean; terminating: boolean }
  hostname?: string
  nodeName?: string
  targetRef?: { kind: string; name: string; namespace: string; uid: string }
}

export interface EndpointSlice extends KubeObject {
  addressType: 'IPv4' | 'IPv6' | 'FQDN'
  endpoints?: Endpoint[] | null
  ports?: EndpointPort[] | null
}

// === The rest ===

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>
  /** Base64. */
  binaryData?: Record<string, string>
}

export interface Secret extends KubeObject {
  type?: string
  /** Base64. */
  data?: Record<string, string>
}

export interface Namespace extends KubeObject {
  spec?: { finalizers?: string[] }
  status?: { phase?: string; conditions?: Condition[] }
}

export interface Node extends KubeObject {
  spec?: { podCIDR?: string; podCIDRs?: string[]; unschedulable?: boolean }
  status?: Record<string, unknown>
}
