import type { Resource } from '../../../kube/types.ts'
import type { StoredObject } from '../objects.ts'
import type { MergeSchema } from '../patch/merge-schema.ts'
import type { FieldError } from '../status.ts'
import type { ResourceKey } from '../store.ts'
import type { Column } from '../tables/column.ts'

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch'

/** What the strategy of a kind may ask of the server. */
export interface StrategyEnv {
  /** Milliseconds since the epoch. */
  nowMs(): number
  /** Gives a Service an address of the service range; throws 422 when the wanted one is taken. */
  allocateClusterIp(wanted: string | undefined, service: StoredObject): string
  /** Gives a Service port a node port. */
  allocateNodePort(wanted: number | undefined, service: StoredObject): number
}

/** How objects of a kind are made good. All of it changes the object in place. */
export interface KindStrategy {
  /** Fills in what is absent. Must do nothing the second time. */
  setDefaults?(object: StoredObject): void
  /** Sets what only the server may set on a new object. */
  prepareCreate?(object: StoredObject, env: StrategyEnv): void
  /** Carries over what a writer may not change. */
  prepareUpdate?(object: StoredObject, old: StoredObject, env: StrategyEnv): void
  validate?(object: StoredObject, old: StoredObject | undefined): FieldError[]
  /** Unknown fields, as dotted paths; they are removed from the object. */
  prune?(object: StoredObject): string[]
}

/** Where the scale subresource finds its numbers; dotted paths without the leading dot. */
export interface ScalePaths {
  specReplicas: string
  statusReplicas: string
  /** Path of a selector: an object, or a string in custom resources. */
  selector?: string
}

/** One kind in one version: everything that the server knows of it. */
export interface KindDefinition {
  resource: Resource
  /** Where its objects are kept, for all versions of it. */
  storage: ResourceKey
  /** The version that objects are kept in. */
  storageApiVersion: string
  listKind: string
  singular: string
  shortNames: string[]
  categories: string[]
  verbs: Verb[]
  hasStatus: boolean
  scale?: ScalePaths
  /** Subresources beside status and scale, for discovery. */
  otherSubresources: { name: string; kind: string; verbs: string[]; group?: string; version?: string }[]
  /** Whether `metadata.generation` counts changes of the wanted state. */
  tracksGeneration: boolean
  /** Field paths that selectors may use beside name and namespace. */
  selectableFields: string[]
  columns: Column[]
  mergeSchema: MergeSchema
  strategy: KindStrategy
  /** OpenAPI v3 schema of a custom resource. */
  openApiSchema?: Record<string, unknown>
  custom: boolean
  /** Not stored: a review that is answered at once. */
  virtual: boolean
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(resource: Pick<Resource, 'group' | 'version'>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

const allVerbs: Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** The parts of a definition that differ between kinds; {@link defineKind} fills in the rest. */
export type KindOptions = Partial<Omit<KindDefinition, 'resource'>>

/** A definition from what is special about a kind. */
export function defineKind(resource: Resource, options: KindOptions = {}): KindDefinition {
  return {
    resource,
    storage: { group: resource.group, plural: resource.plural },
    storageApiVersion: apiVersionOf(resource),
    listKind: `${resource.kind}List`,
    singular: resource.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    verbs: options.virtual ? ['create'] : allVerbs,
    hasStatus: false,
    otherSubresources: [],
    tracksGeneration: false,
    selectableFields: [],
    columns: [],
    mergeSchema: {},
    strategy: {},
    custom: false,
    virtual: false,
    ...options,
  }
}
