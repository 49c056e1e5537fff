import type { MergeSchema } from './merge-schema.ts'

function mapList(
  patchMergeKey: string,
  items: MergeSchema = {},
  keys = [patchMergeKey],
  keyDefaults: Record<string, string | number> = {},
): MergeSchema {
  return { listType: 'map', keys, patchMergeKey, items, keyDefaults }
}

function object(fields: Record<string, MergeSchema>): MergeSchema {
  return { fields }
}

const set: MergeSchema = { listType: 'set', patchMergeScalars: true }
const atomic: MergeSchema = { atomic: true }
/** Merged by strategic merge patches, yet one unit for server-side apply. */
const patchOnly = (patchMergeKey: string): MergeSchema => ({ patchMergeKey })

/** Of every object. */
export const metadataSchema: MergeSchema = object({
  ownerReferences: mapList('uid', atomic),
  finalizers: set,
})

const protocol = { protocol: 'TCP' }
const conditions = object({ conditions: mapList('type') })

const container: MergeSchema = object({
  ports: mapList('containerPort', {}, ['containerPort', 'protocol'], protocol),
  env: mapList(
    'name',
    object({
      valueFrom: object({
        fieldRef: atomic,
        configMapKeyRef: atomic,
        secretKeyRef: atomic,
        resourceFieldRef: atomic,
      }),
    }),
  ),
  volumeMounts: mapList('mountPath'),
  volumeDevices: mapList('devicePath'),
  resources: object({ claims: { listType: 'map', keys: ['name'] } }),
})

const podSpec: MergeSchema = object({
  containers: mapList('name', container),
  initContainers: mapList('name', container),
  ephemeralContainers: mapList('name', container),
  volumes: mapList('name', object({ projected: object({ sources: {} }) })),
  imagePullSecrets: mapList('name', atomic),
  hostAliases: mapList('ip'),
  topologySpreadConstraints: mapList('topologyKey', {}, ['topologyKey', 'whenUnsatisfiable']),
  schedulingGates: mapList('name'),
  resourceClaims: mapList('name'),
  nodeSelector: atomic,
})

const podStatus: MergeSchema = object({
  conditions: mapList('type'),
  podIPs: mapList('ip'),
  hostIPs: patchOnly('ip'),
})

const podTemplate: MergeSchema = object({ metadata: metadataSchema, spec: podSpec })
const workload: MergeSchema = object({
  metadata: metadataSchema,
  spec: object({ selector: atomic, template: podTemplate }),
  status: conditions,
})
const jobSpec: MergeSchema = object({ selector: atomic, template: podTemplate })

const service: MergeSchema = object({
  metadata: metadataSchema,
  spec: object({
    ports: mapList('port', {}, ['port', 'protocol'], protocol),
    selector: atomic,
  }),
  status: conditions,
})

const webhooks: MergeSchema = object({
  metadata: metadataSchema,
  webhooks: mapList(
    'name',
    object({
      namespaceSelector: atomic,
      objectSelector: atomic,
      matchConditions: mapList('name'),
    }),
  ),
})

const plain: MergeSchema = object({ metadata: metadataSchema, status: conditions })

const schemas: Record<string, MergeSchema> = {
  Pod: object({ metadata: metadataSchema, spec: podSpec, status: podStatus }),
  PodTemplate: object({ metadata: metadataSchema, template: podTemplate }),
  Service: service,
  ServiceAccount: object({ metadata: metadataSchema, secrets: patchOnly('name'), imagePullSecrets: {} }),
  Namespace: object({ metadata: metadataSchema, status: conditions }),
  Node: object({
    metadata: metadataSchema,
    spec: object({ podCIDRs: set }),
    status: object({ conditions: mapList('type'), addresses: patchOnly('type') }),
  }),
  Deployment: workload,
  ReplicaSet: workload,
  StatefulSet: workload,
  DaemonSet: workload,
  ReplicationController: workload,
  Job: object({ metadata: metadataSchema, spec: jobSpec, status: object({ conditions: patchOnly('type') }) }),
  CronJob: object({
    metadata: metadataSchema,
    spec: object({ jobTemplate: object({ metadata: metadataSchema, spec: jobSpec }) }),
  }),
  EndpointSlice: object({ metadata: metadataSchema }),
  NetworkPolicy: object({ metadata: metadataSchema, spec: object({ podSelector: atomic }) }),
  PodDisruptionBudget: object({
    metadata: metadataSchema,
    spec: object({ selector: atomic }),
    status: conditions,
  }),
  MutatingWebhookConfiguration: webhooks,
  ValidatingWebhookConfiguration: webhooks,
  CustomResourceDefinition: object({
    metadata: metadataSchema,
    status: { fields: { conditions: { listType: 'map', keys: ['type'] } } },
  }),
  Secret: object({ metadata: metadataSchema }),
}

/** How a built-in kind merges. */
export function builtinMergeSchema(kind: string): MergeSchema {
  return schemas[kind] ?? plain
}
