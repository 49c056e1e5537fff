/**
 * The types of the built-in API: the names, protobuf numbers and types of all fields, as they are part of the public
 * Kubernetes API (1.27 to 1.35; https://kubernetes.io/docs/reference/kubernetes-api/). One type a line, each field as
 * `NAME:NUMBER:TYPE`. `*` is a list, `{TYPE}` a map with string keys, `!` a required field, the name `~` an embedded
 * message whose fields are fields of the type in JSON. `Any` stands for what mesh has no use for and lets pass as it is.
 */
export const builtinTypes: Readonly<Record<string, string>> = {
  Affinity: 'nodeAffinity:1:NodeAffinity podAffinity:2:PodAffinity podAntiAffinity:3:PodAntiAffinity',
  AggregationRule: 'clusterRoleSelectors:1:LabelSelector*',
  AppArmorProfile: 'type:1:string! localhostProfile:2:string',
  Binding: 'metadata:1:ObjectMeta target:2:ObjectReference!',
  BoundObjectReference: 'kind:1:string apiVersion:2:string name:3:string uid:4:string',
  Capabilities: 'add:1:string* drop:2:string*',
  ClientIpConfig: 'timeoutSeconds:1:int32',
  ClusterRole: 'metadata:1:ObjectMeta rules:2:PolicyRule* aggregationRule:3:AggregationRule',
  ClusterRoleBinding: 'metadata:1:ObjectMeta subjects:2:Subject* roleRef:3:RoleRef!',
  Condition:
    'type:1:string! status:2:string! observedGeneration:3:int64 lastTransitionTime:4:Time! reason:5:string! message:6:string!',
  ConfigMap: 'metadata:1:ObjectMeta immutable:4:bool data:2:{string} binaryData:3:{bytes}',
  ConfigMapEnvSource: '~:1:LocalObjectReference optional:2:bool',
  ConfigMapKeySelector: '~:1:LocalObjectReference key:2:string! optional:3:bool',
  ConfigMapProjection: '~:1:LocalObjectReference items:2:KeyToPath* optional:4:bool',
  ConfigMapVolumeSource: '~:1:LocalObjectReference items:2:KeyToPath* defaultMode:3:int32 optional:4:bool',
  Container:
    'name:1:string! image:2:string command:3:string* args:4:string* workingDir:5:string ports:6:ContainerPort* envFrom:19:EnvFromSource* env:7:EnvVar* resources:8:ResourceRequirements resizePolicy:23:Any* restartPolicy:24:string restartPolicyRules:25:Any* volumeMounts:9:VolumeMount* volumeDevices:21:VolumeDevice* livenessProbe:10:Probe readinessProbe:11:Probe startupProbe:22:Probe lifecycle:12:Lifecycle terminationMessagePath:13:string terminationMessagePolicy:20:string imagePullPolicy:14:string securityContext:15:SecurityContext stdin:16:bool stdinOnce:17:bool tty:18:bool',
  ContainerPort: 'name:1:string hostPort:2:int32 containerPort:3:int32! protocol:4:string hostIP:5:string',
  ContainerState:
    'waiting:1:ContainerStateWaiting running:2:ContainerStateRunning terminated:3:ContainerStateTerminated',
  ContainerStateRunning: 'startedAt:1:Time',
  ContainerStateTerminated:
    'exitCode:1:int32! signal:2:int32 reason:3:string message:4:string startedAt:5:Time finishedAt:6:Time containerID:7:string',
  ContainerStateWaiting: 'reason:1:string message:2:string',
  ContainerStatus:
    'name:1:string! state:2:ContainerState lastState:3:ContainerState ready:4:bool! restartCount:5:int32! image:6:string! imageID:7:string! containerID:8:string started:9:bool allocatedResources:10:{Quantity} resources:11:ResourceRequirements volumeMounts:12:VolumeMountStatus* user:13:Any allocatedResourcesStatus:14:Any* stopSignal:15:string',
  ControllerRevision: 'metadata:1:ObjectMeta data:2:Raw revision:3:int64!',
  CronJob: 'metadata:1:ObjectMeta spec:2:CronJobSpec status:3:CronJobStatus',
  CronJobSpec:
    'schedule:1:string! timeZone:8:string startingDeadlineSeconds:2:int64 concurrencyPolicy:3:string suspend:4:bool jobTemplate:5:JobTemplateSpec! successfulJobsHistoryLimit:6:int32 failedJobsHistoryLimit:7:int32',
  CronJobStatus: 'active:1:ObjectReference* lastScheduleTime:4:Time lastSuccessfulTime:5:Time',
  CustomResourceColumnDefinition:
    'name:1:string! type:2:string! format:3:string description:4:string priority:5:int32 jsonPath:6:string!',
  CustomResourceConversion: 'strategy:1:string! webhook:2:WebhookConversion',
  CustomResourceDefinition:
    'metadata:1:ObjectMeta spec:2:CustomResourceDefinitionSpec! status:3:CustomResourceDefinitionStatus',
  CustomResourceDefinitionCondition:
    'type:1:string! status:2:string! lastTransitionTime:3:Time reason:4:string message:5:string observedGeneration:6:int64',
  CustomResourceDefinitionNames:
    'plural:1:string! singular:2:string shortNames:3:string* kind:4:string! listKind:5:string categories:6:string*',
  CustomResourceDefinitionSpec:
    'group:1:string! names:3:CustomResourceDefinitionNames! scope:4:string! versions:7:CustomResourceDefinitionVersion*! conversion:9:CustomResourceConversion preserveUnknownFields:10:bool',
  CustomResourceDefinitionStatus:
    'conditions:1:CustomResourceDefinitionCondition* acceptedNames:2:CustomResourceDefinitionNames storedVersions:3:string* observedGeneration:4:int64',
  CustomResourceDefinitionVersion:
    'name:1:string! served:2:bool! storage:3:bool! deprecated:7:bool deprecationWarning:8:string schema:4:CustomResourceValidation subresources:5:CustomResourceSubresources additionalPrinterColumns:6:CustomResourceColumnDefinition* selectableFields:9:SelectableField*',
  CustomResourceSubresourceScale:
    'specReplicasPath:1:string! statusReplicasPath:2:string! labelSelectorPath:3:string',
  CustomResourceSubresourceStatus: '',
  CustomResourceSubresources:
    'status:1:CustomResourceSubresourceStatus scale:2:CustomResourceSubresourceScale',
  CustomResourceValidation: 'openAPIV3Schema:1:Any',
  DaemonSet: 'metadata:1:ObjectMeta spec:2:DaemonSetSpec status:3:DaemonSetStatus',
  DaemonSetCondition:
    'type:1:string! status:2:string! lastTransitionTime:3:Time reason:4:string message:5:string',
  DaemonSetSpec:
    'selector:1:LabelSelector! template:2:PodTemplateSpec! updateStrategy:3:DaemonSetUpdateStrategy minReadySeconds:4:int32 revisionHistoryLimit:6:int32',
  DaemonSetStatus:
    'currentNumberScheduled:1:int32! numberMisscheduled:2:int32! desiredNumberScheduled:3:int32! numberReady:4:int32! observedGeneration:5:int64 updatedNumberScheduled:6:int32 numberAvailable:7:int32 numberUnavailable:8:int32 collisionCount:9:int32 conditions:10:DaemonSetCondition*',
  DaemonSetUpdateStrategy: 'type:1:string rollingUpdate:2:RollingUpdateDaemonSet',
  DeleteOptions:
    'gracePeriodSeconds:1:int64 preconditions:2:Preconditions orphanDependents:3:bool propagationPolicy:4:string dryRun:5:string* ignoreStoreReadErrorWithClusterBreakingPotential:6:bool',
  Deployment: 'metadata:1:ObjectMeta spec:2:DeploymentSpec status:3:DeploymentStatus',
  DeploymentCondition:
    'type:1:string! status:2:string! lastUpdateTime:6:Time lastTransitionTime:7:Time reason:4:string message:5:string',
  DeploymentSpec:
    'replicas:1:int32 selector:2:LabelSelector! template:3:PodTemplateSpec! strategy:4:DeploymentStrategy minReadySeconds:5:int32 revisionHistoryLimit:6:int32 paused:7:bool progressDeadlineSeconds:9:int32',
  DeploymentStatus:
    'observedGeneration:1:int64 replicas:2:int32 updatedReplicas:3:int32 readyReplicas:7:int32 availableReplicas:4:int32 unavailableReplicas:5:int32 terminatingReplicas:9:int32 conditions:6:DeploymentCondition* collisionCount:8:int32',
  DeploymentStrategy: 'type:1:string rollingUpdate:2:RollingUpdateDeployment',
  DownwardAPIProjection: 'items:1:DownwardAPIVolumeFile*',
  DownwardAPIVolumeFile:
    'path:1:string! fieldRef:2:ObjectFieldSelector resourceFieldRef:3:ResourceFieldSelector mode:4:int32',
  DownwardAPIVolumeSource: 'items:1:DownwardAPIVolumeFile* defaultMode:2:int32',
  EmptyDirVolumeSource: 'medium:1:string sizeLimit:2:Quantity',
  Endpoint:
    'addresses:1:string*! conditions:2:EndpointConditions hostname:3:string targetRef:4:ObjectReference deprecatedTopology:5:{string} nodeName:6:string zone:7:string hints:8:EndpointHints',
  EndpointAddress: 'ip:1:string! hostname:3:string nodeName:4:string targetRef:2:ObjectReference',
  EndpointConditions: 'ready:1:bool serving:2:bool terminating:3:bool',
  EndpointHints: 'forZones:1:ForZone* forNodes:2:ForNode*',
  EndpointSlice:
    'metadata:1:ObjectMeta addressType:4:string! endpoints:2:Endpoint*! ports:3:discovery.EndpointPort*',
  EndpointSubset:
    'addresses:1:EndpointAddress* notReadyAddresses:2:EndpointAddress* ports:3:core.EndpointPort*',
  Endpoints: 'metadata:1:ObjectMeta subsets:2:EndpointSubset*',
  EnvFromSource: 'prefix:1:string configMapRef:2:ConfigMapEnvSource secretRef:3:SecretEnvSource',
  EnvVar: 'name:1:string! value:2:string valueFrom:3:EnvVarSource',
  EnvVarSource:
    'fieldRef:1:ObjectFieldSelector resourceFieldRef:2:ResourceFieldSelector configMapKeyRef:3:ConfigMapKeySelector secretKeyRef:4:SecretKeySelector fileKeyRef:5:FileKeySelector',
  EphemeralContainer: '~:1:EphemeralContainerCommon targetContainerName:2:string',
  EphemeralContainerCommon:
    'name:1:string image:2:string command:3:string* args:4:string* workingDir:5:string ports:6:ContainerPort* envFrom:19:EnvFromSource* env:7:EnvVar* resources:8:ResourceRequirements resizePolicy:23:Any* restartPolicy:24:string restartPolicyRules:25:Any* volumeMounts:9:VolumeMount* volumeDevices:21:VolumeDevice* livenessProbe:10:Probe readinessProbe:11:Probe startupProbe:22:Probe lifecycle:12:Lifecycle terminationMessagePath:13:string terminationMessagePolicy:20:string imagePullPolicy:14:string securityContext:15:SecurityContext stdin:16:bool stdinOnce:17:bool tty:18:bool',
  Event:
    'metadata:1:ObjectMeta! involvedObject:2:ObjectReference! reason:3:string message:4:string source:5:EventSource firstTimestamp:6:Time lastTimestamp:7:Time count:8:int32 type:9:string eventTime:10:MicroTime series:11:EventSeries action:12:string related:13:ObjectReference reportingComponent:14:string reportingInstance:15:string',
  EventSeries: 'count:1:int32 lastObservedTime:2:MicroTime',
  EventSource: 'component:1:string host:2:string',
  Eviction: 'metadata:1:ObjectMeta deleteOptions:2:DeleteOptions',
  ExecAction: 'command:1:string*',
  FieldSelectorAttributes: 'rawSelector:1:string requirements:2:FieldSelectorRequirement*',
  FieldSelectorRequirement: 'key:1:string! operator:2:string! values:3:string*',
  FileKeySelector: 'volumeName:1:string! path:2:string! key:3:string! optional:4:bool',
  ForNode: 'name:1:string!',
  ForZone: 'name:1:string!',
  GrpcAction: 'port:1:int32 service:2:string',
  HostAlias: 'ip:1:string! hostnames:2:string*',
  HostIp: 'ip:1:string',
  HostPathVolumeSource: 'path:1:string! type:2:string',
  HttpGetAction: 'path:1:string port:2:IntOrString host:3:string scheme:4:string httpHeaders:5:HttpHeader*',
  HttpHeader: 'name:1:string value:2:string',
  HttpIngressPath: 'path:1:string pathType:3:string backend:2:IngressBackend',
  HttpIngressRuleValue: 'paths:1:HttpIngressPath*',
  ImageVolumeSource: 'reference:1:string pullPolicy:2:string',
  Ingress: 'metadata:1:ObjectMeta spec:2:IngressSpec status:3:IngressStatus',
  IngressBackend: 'service:4:IngressServiceBackend resource:3:TypedLocalObjectReference',
  IngressLoadBalancerIngress: 'ip:1:string hostname:2:string ports:4:IngressPortStatus*',
  IngressLoadBalancerStatus: 'ingress:1:IngressLoadBalancerIngress*',
  IngressPortStatus: 'port:1:int32! protocol:2:string! error:3:string',
  IngressRule: 'host:1:string ~:2:IngressRuleValue',
  IngressRuleValue: 'http:1:HttpIngressRuleValue',
  IngressServiceBackend: 'name:1:string! port:2:ServiceBackendPort',
  IngressSpec:
    'ingressClassName:4:string defaultBackend:1:IngressBackend tls:2:IngressTls* rules:3:IngressRule*',
  IngressStatus: 'loadBalancer:1:IngressLoadBalancerStatus',
  IngressTls: 'hosts:1:string* secretName:2:string',
  IpBlock: 'cidr:1:string except:2:string*',
  Job: 'metadata:1:ObjectMeta spec:2:JobSpec status:3:JobStatus',
  JobCondition:
    'type:1:string! status:2:string! lastProbeTime:3:Time lastTransitionTime:4:Time reason:5:string message:6:string',
  JobSpec:
    'parallelism:1:int32 completions:2:int32 activeDeadlineSeconds:3:int64 podFailurePolicy:11:PodFailurePolicy successPolicy:16:SuccessPolicy backoffLimit:7:int32 backoffLimitPerIndex:12:int32 maxFailedIndexes:13:int32 selector:4:LabelSelector manualSelector:5:bool template:6:PodTemplateSpec! ttlSecondsAfterFinished:8:int32 completionMode:9:string suspend:10:bool podReplacementPolicy:14:string managedBy:15:string',
  JobStatus:
    'conditions:1:JobCondition* startTime:2:Time completionTime:3:Time active:4:int32 succeeded:5:int32 failed:6:int32 terminating:11:int32 completedIndexes:7:string failedIndexes:10:string uncountedTerminatedPods:8:UncountedTerminatedPods ready:9:int32',
  JobTemplateSpec: 'metadata:1:ObjectMeta spec:2:JobSpec',
  KeyToPath: 'key:1:string! path:2:string! mode:3:int32',
  LabelSelector: 'matchLabels:1:{string} matchExpressions:2:LabelSelectorRequirement*',
  LabelSelectorAttributes: 'rawSelector:1:string requirements:2:LabelSelectorRequirement*',
  LabelSelectorRequirement: 'key:1:string! operator:2:string! values:3:string*',
  Lease: 'metadata:1:ObjectMeta spec:2:LeaseSpec',
  LeaseSpec:
    'holderIdentity:1:string leaseDurationSeconds:2:int32 acquireTime:3:MicroTime renewTime:4:MicroTime leaseTransitions:5:int32 strategy:6:string preferredHolder:7:string',
  Lifecycle: 'postStart:1:LifecycleHandler preStop:2:LifecycleHandler stopSignal:3:string',
  LifecycleHandler:
    'exec:1:ExecAction httpGet:2:HttpGetAction tcpSocket:3:TcpSocketAction sleep:4:SleepAction',
  LoadBalancerIngress: 'ip:1:string hostname:2:string ipMode:3:string ports:4:PortStatus*',
  LoadBalancerStatus: 'ingress:1:LoadBalancerIngress*',
  LocalObjectReference: 'name:1:string',
  LocalSubjectAccessReview:
    'metadata:1:ObjectMeta spec:2:SubjectAccessReviewSpec! status:3:SubjectAccessReviewStatus',
  ManagedFieldsEntry:
    'manager:1:string operation:2:string apiVersion:3:string time:4:Time fieldsType:6:string fieldsV1:7:Raw subresource:8:string',
  MatchCondition: 'name:1:string! expression:2:string!',
  ModifyVolumeStatus: 'targetVolumeAttributesClassName:1:string status:2:string!',
  MutatingWebhook:
    'name:1:string! clientConfig:2:admissionregistration.WebhookClientConfig! rules:3:RuleWithOperations* failurePolicy:4:string matchPolicy:9:string namespaceSelector:5:LabelSelector objectSelector:11:LabelSelector sideEffects:6:string! timeoutSeconds:7:int32 admissionReviewVersions:8:string*! reinvocationPolicy:10:string matchConditions:12:MatchCondition*',
  MutatingWebhookConfiguration: 'metadata:1:ObjectMeta webhooks:2:MutatingWebhook*',
  Namespace: 'metadata:1:ObjectMeta spec:2:NamespaceSpec status:3:NamespaceStatus',
  NamespaceCondition:
    'type:1:string! status:2:string! lastTransitionTime:4:Time reason:5:string message:6:string',
  NamespaceSpec: 'finalizers:1:string*',
  NamespaceStatus: 'phase:1:string conditions:2:NamespaceCondition*',
  NetworkPolicy: 'metadata:1:ObjectMeta spec:2:NetworkPolicySpec',
  NetworkPolicyEgressRule: 'ports:1:NetworkPolicyPort* to:2:NetworkPolicyPeer*',
  NetworkPolicyIngressRule: 'ports:1:NetworkPolicyPort* from:2:NetworkPolicyPeer*',
  NetworkPolicyPeer: 'podSelector:1:LabelSelector namespaceSelector:2:LabelSelector ipBlock:3:IpBlock',
  NetworkPolicyPort: 'protocol:1:string port:2:IntOrString endPort:3:int32',
  NetworkPolicySpec:
    'podSelector:1:LabelSelector ingress:2:NetworkPolicyIngressRule* egress:3:NetworkPolicyEgressRule* policyTypes:4:string*',
  Node: 'metadata:1:ObjectMeta spec:2:NodeSpec status:3:Any',
  NodeAffinity:
    'requiredDuringSchedulingIgnoredDuringExecution:1:NodeSelector preferredDuringSchedulingIgnoredDuringExecution:2:PreferredSchedulingTerm*',
  NodeSelector: 'nodeSelectorTerms:1:NodeSelectorTerm*!',
  NodeSelectorRequirement: 'key:1:string! operator:2:string! values:3:string*',
  NodeSelectorTerm: 'matchExpressions:1:NodeSelectorRequirement* matchFields:2:NodeSelectorRequirement*',
  NodeSpec:
    'podCIDR:1:string podCIDRs:7:string* providerID:3:string unschedulable:4:bool taints:5:Taint* configSource:6:Any externalID:2:string',
  NonResourceAttributes: 'path:1:string verb:2:string',
  NonResourceRule: 'verbs:1:string*! nonResourceURLs:2:string*',
  ObjectFieldSelector: 'apiVersion:1:string fieldPath:2:string!',
  ObjectMeta:
    'name:1:string generateName:2:string namespace:3:string selfLink:4:string uid:5:string resourceVersion:6:string generation:7:int64 creationTimestamp:8:Time deletionTimestamp:9:Time deletionGracePeriodSeconds:10:int64 labels:11:{string} annotations:12:{string} ownerReferences:13:OwnerReference* finalizers:14:string* managedFields:17:ManagedFieldsEntry*',
  ObjectReference:
    'kind:1:string namespace:2:string name:3:string uid:4:string apiVersion:5:string resourceVersion:6:string fieldPath:7:string',
  OwnerReference:
    'apiVersion:5:string! kind:1:string! name:3:string! uid:4:string! controller:6:bool blockOwnerDeletion:7:bool',
  PersistentVolumeClaim:
    'metadata:1:ObjectMeta spec:2:PersistentVolumeClaimSpec status:3:PersistentVolumeClaimStatus',
  PersistentVolumeClaimCondition:
    'type:1:string! status:2:string! lastProbeTime:3:Time lastTransitionTime:4:Time reason:5:string message:6:string',
  PersistentVolumeClaimSpec:
    'accessModes:1:string* selector:4:LabelSelector resources:2:VolumeResourceRequirements volumeName:3:string storageClassName:5:string volumeMode:6:string dataSource:7:TypedLocalObjectReference dataSourceRef:8:TypedObjectReference volumeAttributesClassName:9:string',
  PersistentVolumeClaimStatus:
    'phase:1:string accessModes:2:string* capacity:3:{Quantity} conditions:4:PersistentVolumeClaimCondition* allocatedResources:5:{Quantity} allocatedResourceStatuses:7:{string} currentVolumeAttributesClassName:8:string modifyVolumeStatus:9:ModifyVolumeStatus',
  PersistentVolumeClaimVolumeSource: 'claimName:1:string! readOnly:2:bool',
  Pod: 'metadata:1:ObjectMeta spec:2:PodSpec status:3:PodStatus',
  PodAffinity:
    'requiredDuringSchedulingIgnoredDuringExecution:1:PodAffinityTerm* preferredDuringSchedulingIgnoredDuringExecution:2:WeightedPodAffinityTerm*',
  PodAffinityTerm:
    'labelSelector:1:LabelSelector namespaces:2:string* topologyKey:3:string! namespaceSelector:4:LabelSelector matchLabelKeys:5:string* mismatchLabelKeys:6:string*',
  PodAntiAffinity:
    'requiredDuringSchedulingIgnoredDuringExecution:1:PodAffinityTerm* preferredDuringSchedulingIgnoredDuringExecution:2:WeightedPodAffinityTerm*',
  PodCondition:
    'type:1:string! observedGeneration:7:int64 status:2:string! lastProbeTime:3:Time lastTransitionTime:4:Time reason:5:string message:6:string',
  PodDisruptionBudget:
    'metadata:1:ObjectMeta spec:2:PodDisruptionBudgetSpec status:3:PodDisruptionBudgetStatus',
  PodDisruptionBudgetSpec:
    'minAvailable:1:IntOrString selector:2:LabelSelector maxUnavailable:3:IntOrString unhealthyPodEvictionPolicy:4:string',
  PodDisruptionBudgetStatus:
    'observedGeneration:1:int64 disruptedPods:2:{Time} disruptionsAllowed:3:int32! currentHealthy:4:int32! desiredHealthy:5:int32! expectedPods:6:int32! conditions:7:Condition*',
  PodDnsConfig: 'nameservers:1:string* searches:2:string* options:3:PodDnsConfigOption*',
  PodDnsConfigOption: 'name:1:string value:2:string',
  PodFailurePolicy: 'rules:1:PodFailurePolicyRule*!',
  PodFailurePolicyOnExitCodesRequirement: 'containerName:1:string operator:2:string! values:3:int32*!',
  PodFailurePolicyOnPodConditionsPattern: 'type:1:string! status:2:string!',
  PodFailurePolicyRule:
    'action:1:string! onExitCodes:2:PodFailurePolicyOnExitCodesRequirement onPodConditions:3:PodFailurePolicyOnPodConditionsPattern*',
  PodIp: 'ip:1:string',
  PodOs: 'name:1:string',
  PodReadinessGate: 'conditionType:1:string!',
  PodSchedulingGate: 'name:1:string!',
  PodSecurityContext:
    'seLinuxOptions:1:SeLinuxOptions windowsOptions:8:Any runAsUser:2:int64 runAsGroup:6:int64 runAsNonRoot:3:bool supplementalGroups:4:int64* supplementalGroupsPolicy:12:string fsGroup:5:int64 sysctls:7:Sysctl* fsGroupChangePolicy:9:string seccompProfile:10:SeccompProfile appArmorProfile:11:AppArmorProfile seLinuxChangePolicy:13:string',
  PodSpec:
    'volumes:1:Volume* initContainers:20:Container* containers:2:Container*! ephemeralContainers:34:EphemeralContainer* restartPolicy:3:string terminationGracePeriodSeconds:4:int64 activeDeadlineSeconds:5:int64 dnsPolicy:6:string nodeSelector:7:{string} serviceAccountName:8:string serviceAccount:9:string automountServiceAccountToken:21:bool nodeName:10:string hostNetwork:11:bool hostPID:12:bool hostIPC:13:bool shareProcessNamespace:27:bool securityContext:14:PodSecurityContext imagePullSecrets:15:LocalObjectReference* hostname:16:string subdomain:17:string affinity:18:Affinity schedulerName:19:string tolerations:22:Toleration* hostAliases:23:HostAlias* priorityClassName:24:string priority:25:int32 dnsConfig:26:PodDnsConfig readinessGates:28:PodReadinessGate* runtimeClassName:29:string enableServiceLinks:30:bool preemptionPolicy:31:string overhead:32:{Quantity} topologySpreadConstraints:33:TopologySpreadConstraint* setHostnameAsFQDN:35:bool os:36:PodOs hostUsers:37:bool schedulingGates:38:PodSchedulingGate* resourceClaims:39:Any* resources:40:ResourceRequirements hostnameOverride:41:string workloadRef:42:Any',
  PodStatus:
    'observedGeneration:17:int64 phase:1:string conditions:2:PodCondition* message:3:string reason:4:string nominatedNodeName:11:string hostIP:5:string hostIPs:16:HostIp* podIP:6:string podIPs:12:PodIp* startTime:7:Time initContainerStatuses:10:ContainerStatus* containerStatuses:8:ContainerStatus* qosClass:9:string ephemeralContainerStatuses:13:ContainerStatus* resize:14:string resourceClaimStatuses:15:Any* extendedResourceClaimStatus:18:Any allocatedResources:19:{Quantity} resources:20:ResourceRequirements',
  PodTemplateSpec: 'metadata:1:ObjectMeta spec:2:PodSpec',
  PolicyRule:
    'verbs:1:string*! apiGroups:2:string* resources:3:string* resourceNames:4:string* nonResourceURLs:5:string*',
  PortStatus: 'port:1:int32! protocol:2:string! error:3:string',
  Preconditions: 'uid:1:string resourceVersion:2:string',
  PreferredSchedulingTerm: 'weight:1:int32! preference:2:NodeSelectorTerm!',
  Probe:
    '~:1:ProbeHandler initialDelaySeconds:2:int32 timeoutSeconds:3:int32 periodSeconds:4:int32 successThreshold:5:int32 failureThreshold:6:int32 terminationGracePeriodSeconds:7:int64',
  ProbeHandler: 'exec:1:ExecAction httpGet:2:HttpGetAction tcpSocket:3:TcpSocketAction grpc:4:GrpcAction',
  ProjectedVolumeSource: 'sources:1:VolumeProjection* defaultMode:2:int32',
  ReplicaSet: 'metadata:1:ObjectMeta spec:2:ReplicaSetSpec status:3:ReplicaSetStatus',
  ReplicaSetCondition:
    'type:1:string! status:2:string! lastTransitionTime:3:Time reason:4:string message:5:string',
  ReplicaSetSpec:
    'replicas:1:int32 minReadySeconds:4:int32 selector:2:LabelSelector! template:3:PodTemplateSpec',
  ReplicaSetStatus:
    'replicas:1:int32! fullyLabeledReplicas:2:int32 readyReplicas:4:int32 availableReplicas:5:int32 terminatingReplicas:7:int32 observedGeneration:3:int64 conditions:6:ReplicaSetCondition*',
  ResourceAttributes:
    'namespace:1:string verb:2:string group:3:string version:4:string resource:5:string subresource:6:string name:7:string fieldSelector:8:FieldSelectorAttributes labelSelector:9:LabelSelectorAttributes',
  ResourceClaim: 'name:1:string! request:2:string',
  ResourceFieldSelector: 'containerName:1:string resource:2:string! divisor:3:Quantity',
  ResourceRequirements: 'limits:1:{Quantity} requests:2:{Quantity} claims:3:ResourceClaim*',
  ResourceRule: 'verbs:1:string*! apiGroups:2:string* resources:3:string* resourceNames:4:string*',
  Role: 'metadata:1:ObjectMeta rules:2:PolicyRule*',
  RoleBinding: 'metadata:1:ObjectMeta subjects:2:Subject* roleRef:3:RoleRef!',
  RoleRef: 'apiGroup:1:string! kind:2:string! name:3:string!',
  RollingUpdateDaemonSet: 'maxUnavailable:1:IntOrString maxSurge:2:IntOrString',
  RollingUpdateDeployment: 'maxUnavailable:1:IntOrString maxSurge:2:IntOrString',
  RollingUpdateStatefulSetStrategy: 'partition:1:int32 maxUnavailable:2:IntOrString',
  Rule: 'apiGroups:1:string* apiVersions:2:string* resources:3:string* scope:4:string',
  RuleWithOperations: 'operations:1:string* ~:2:Rule',
  Scale: 'metadata:1:ObjectMeta spec:2:ScaleSpec status:3:ScaleStatus',
  ScaleSpec: 'replicas:1:int32',
  ScaleStatus: 'replicas:1:int32! selector:2:string',
  SeLinuxOptions: 'user:1:string role:2:string type:3:string level:4:string',
  SeccompProfile: 'type:1:string! localhostProfile:2:string',
  Secret: 'metadata:1:ObjectMeta immutable:5:bool data:2:{bytes} stringData:4:{string} type:3:string',
  SecretEnvSource: '~:1:LocalObjectReference optional:2:bool',
  SecretKeySelector: '~:1:LocalObjectReference key:2:string! optional:3:bool',
  SecretProjection: '~:1:LocalObjectReference items:2:KeyToPath* optional:4:bool',
  SecretVolumeSource: 'secretName:1:string items:2:KeyToPath* defaultMode:3:int32 optional:4:bool',
  SecurityContext:
    'capabilities:1:Capabilities privileged:2:bool seLinuxOptions:3:SeLinuxOptions windowsOptions:10:Any runAsUser:4:int64 runAsGroup:8:int64 runAsNonRoot:5:bool readOnlyRootFilesystem:6:bool allowPrivilegeEscalation:7:bool procMount:9:string seccompProfile:11:SeccompProfile appArmorProfile:12:AppArmorProfile',
  SelectableField: 'jsonPath:1:string!',
  SelfSubjectAccessReview:
    'metadata:1:ObjectMeta spec:2:SelfSubjectAccessReviewSpec! status:3:SubjectAccessReviewStatus',
  SelfSubjectAccessReviewSpec:
    'resourceAttributes:1:ResourceAttributes nonResourceAttributes:2:NonResourceAttributes',
  SelfSubjectReview: 'metadata:1:ObjectMeta status:2:SelfSubjectReviewStatus',
  SelfSubjectReviewStatus: 'userInfo:1:UserInfo',
  SelfSubjectRulesReview:
    'metadata:1:ObjectMeta spec:2:SelfSubjectRulesReviewSpec! status:3:SubjectRulesReviewStatus',
  SelfSubjectRulesReviewSpec: 'namespace:1:string',
  Service: 'metadata:1:ObjectMeta spec:2:ServiceSpec status:3:ServiceStatus',
  ServiceAccount:
    'metadata:1:ObjectMeta secrets:2:ObjectReference* imagePullSecrets:3:LocalObjectReference* automountServiceAccountToken:4:bool',
  ServiceAccountTokenProjection: 'audience:1:string expirationSeconds:2:int64 path:3:string!',
  ServiceBackendPort: 'name:1:string number:2:int32',
  ServicePort:
    'name:1:string protocol:2:string appProtocol:6:string port:3:int32! targetPort:4:IntOrString nodePort:5:int32',
  ServiceSpec:
    'ports:1:ServicePort* selector:2:{string} clusterIP:3:string clusterIPs:18:string* type:4:string externalIPs:5:string* sessionAffinity:7:string loadBalancerIP:8:string loadBalancerSourceRanges:9:string* externalName:10:string externalTrafficPolicy:11:string healthCheckNodePort:12:int32 publishNotReadyAddresses:13:bool sessionAffinityConfig:14:SessionAffinityConfig ipFamilies:19:string* ipFamilyPolicy:17:string allocateLoadBalancerNodePorts:20:bool loadBalancerClass:21:string internalTrafficPolicy:22:string trafficDistribution:23:string',
  ServiceStatus: 'loadBalancer:1:LoadBalancerStatus conditions:2:Condition*',
  SessionAffinityConfig: 'clientIP:1:ClientIpConfig',
  SleepAction: 'seconds:1:int64!',
  StatefulSet: 'metadata:1:ObjectMeta spec:2:StatefulSetSpec status:3:StatefulSetStatus',
  StatefulSetCondition:
    'type:1:string! status:2:string! lastTransitionTime:3:Time reason:4:string message:5:string',
  StatefulSetOrdinals: 'start:1:int32',
  StatefulSetPersistentVolumeClaimRetentionPolicy: 'whenDeleted:1:string whenScaled:2:string',
  StatefulSetSpec:
    'replicas:1:int32 selector:2:LabelSelector! template:3:PodTemplateSpec! volumeClaimTemplates:4:PersistentVolumeClaim* serviceName:5:string podManagementPolicy:6:string updateStrategy:7:StatefulSetUpdateStrategy revisionHistoryLimit:8:int32 minReadySeconds:9:int32 persistentVolumeClaimRetentionPolicy:10:StatefulSetPersistentVolumeClaimRetentionPolicy ordinals:11:StatefulSetOrdinals',
  StatefulSetStatus:
    'observedGeneration:1:int64 replicas:2:int32! readyReplicas:3:int32 currentReplicas:4:int32 updatedReplicas:5:int32 currentRevision:6:string updateRevision:7:string collisionCount:9:int32 conditions:10:StatefulSetCondition* availableReplicas:11:int32',
  StatefulSetUpdateStrategy: 'type:1:string rollingUpdate:2:RollingUpdateStatefulSetStrategy',
  Subject: 'kind:1:string! apiGroup:2:string name:3:string! namespace:4:string',
  SubjectAccessReview:
    'metadata:1:ObjectMeta spec:2:SubjectAccessReviewSpec! status:3:SubjectAccessReviewStatus',
  SubjectAccessReviewSpec:
    'resourceAttributes:1:ResourceAttributes nonResourceAttributes:2:NonResourceAttributes user:3:string groups:4:string* extra:5:{string*} uid:6:string',
  SubjectAccessReviewStatus: 'allowed:1:bool! denied:4:bool reason:2:string evaluationError:3:string',
  SubjectRulesReviewStatus:
    'resourceRules:1:ResourceRule*! nonResourceRules:2:NonResourceRule*! incomplete:3:bool! evaluationError:4:string',
  SuccessPolicy: 'rules:1:SuccessPolicyRule*!',
  SuccessPolicyRule: 'succeededIndexes:1:string succeededCount:2:int32',
  Sysctl: 'name:1:string! value:2:string!',
  Taint: 'key:1:string! value:2:string effect:3:string! timeAdded:4:Time',
  TcpSocketAction: 'port:1:IntOrString host:2:string',
  TokenRequest: 'metadata:1:ObjectMeta spec:2:TokenRequestSpec! status:3:TokenRequestStatus',
  TokenRequestSpec: 'audiences:1:string*! expirationSeconds:4:int64 boundObjectRef:3:BoundObjectReference',
  TokenRequestStatus: 'token:1:string! expirationTimestamp:2:Time!',
  TokenReview: 'metadata:1:ObjectMeta spec:2:TokenReviewSpec! status:3:TokenReviewStatus',
  TokenReviewSpec: 'token:1:string audiences:2:string*',
  TokenReviewStatus: 'authenticated:1:bool user:2:UserInfo audiences:4:string* error:3:string',
  Toleration: 'key:1:string operator:2:string value:3:string effect:4:string tolerationSeconds:5:int64',
  TopologySpreadConstraint:
    'maxSkew:1:int32! topologyKey:2:string! whenUnsatisfiable:3:string! labelSelector:4:LabelSelector minDomains:5:int32 nodeAffinityPolicy:6:string nodeTaintsPolicy:7:string matchLabelKeys:8:string*',
  TypedLocalObjectReference: 'apiGroup:1:string kind:2:string! name:3:string!',
  TypedObjectReference: 'apiGroup:1:string kind:2:string! name:3:string! namespace:4:string',
  UncountedTerminatedPods: 'succeeded:1:string* failed:2:string*',
  UserInfo: 'username:1:string uid:2:string groups:3:string* extra:4:{string*}',
  ValidatingWebhook:
    'name:1:string! clientConfig:2:admissionregistration.WebhookClientConfig! rules:3:RuleWithOperations* failurePolicy:4:string matchPolicy:9:string namespaceSelector:5:LabelSelector objectSelector:10:LabelSelector sideEffects:6:string! timeoutSeconds:7:int32 admissionReviewVersions:8:string*! matchConditions:11:MatchCondition*',
  ValidatingWebhookConfiguration: 'metadata:1:ObjectMeta webhooks:2:ValidatingWebhook*',
  Volume: 'name:1:string! ~:2:VolumeSource',
  VolumeDevice: 'name:1:string! devicePath:2:string!',
  VolumeMount:
    'name:1:string! readOnly:2:bool recursiveReadOnly:7:string mountPath:3:string! subPath:4:string mountPropagation:5:string subPathExpr:6:string',
  VolumeMountStatus: 'name:1:string! mountPath:2:string! readOnly:3:bool recursiveReadOnly:4:string',
  VolumeProjection:
    'secret:1:SecretProjection downwardAPI:2:DownwardAPIProjection configMap:3:ConfigMapProjection serviceAccountToken:4:ServiceAccountTokenProjection clusterTrustBundle:5:Any podCertificate:6:Any',
  VolumeResourceRequirements: 'limits:1:{Quantity} requests:2:{Quantity}',
  VolumeSource:
    'hostPath:1:HostPathVolumeSource emptyDir:2:EmptyDirVolumeSource gcePersistentDisk:3:Any awsElasticBlockStore:4:Any gitRepo:5:Any secret:6:SecretVolumeSource nfs:7:Any iscsi:8:Any glusterfs:9:Any persistentVolumeClaim:10:PersistentVolumeClaimVolumeSource rbd:11:Any flexVolume:12:Any cinder:13:Any cephfs:14:Any flocker:15:Any downwardAPI:16:DownwardAPIVolumeSource fc:17:Any azureFile:18:Any configMap:19:ConfigMapVolumeSource vsphereVolume:20:Any quobyte:21:Any azureDisk:22:Any photonPersistentDisk:23:Any projected:26:ProjectedVolumeSource portworxVolume:24:Any scaleIO:25:Any storageos:27:Any csi:28:Any ephemeral:29:Any image:30:ImageVolumeSource',
  WebhookConversion: 'clientConfig:2:apiextensions.WebhookClientConfig conversionReviewVersions:3:string*!',
  WeightedPodAffinityTerm: 'weight:1:int32! podAffinityTerm:2:PodAffinityTerm!',
  'admissionregistration.ServiceReference': 'namespace:1:string! name:2:string! path:3:string port:4:int32',
  'admissionregistration.WebhookClientConfig':
    'url:3:string service:1:admissionregistration.ServiceReference caBundle:2:bytes',
  'apiextensions.ServiceReference': 'namespace:1:string! name:2:string! path:3:string port:4:int32',
  'apiextensions.WebhookClientConfig':
    'url:3:string service:1:apiextensions.ServiceReference caBundle:2:bytes',
  'core.EndpointPort': 'name:1:string port:2:int32! protocol:3:string appProtocol:4:string',
  'discovery.EndpointPort': 'name:1:string protocol:2:string port:3:int32 appProtocol:4:string',
}
