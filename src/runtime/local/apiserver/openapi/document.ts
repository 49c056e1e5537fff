import { apiVersionOf, type KindDefinition } from '../registry/definition.ts'
import { referencedSchemas, typeSchema } from '../schema/openapi-types.ts'
import { typeOfKind } from '../schema/types.ts'

type Schema = Record<string, unknown>

function schemaName({ resource }: KindDefinition): string {
  const group = resource.group === '' ? 'core' : resource.group
  return `${group.split('.').reverse().join('.')}.${resource.version}.${resource.kind}`
}

function kindExtension({ resource }: KindDefinition): Schema {
  const { group, version, kind } = resource
  return { group, version, kind }
}

const objectMetaName = 'io.k8s.api.ObjectMeta'

function schemaOf(definition: KindDefinition, used: Set<string>): Schema {
  const metadata = { allOf: [{ $ref: `#/components/schemas/${objectMetaName}` }], default: {} }
  const text = (description: string) => ({ type: 'string', description })
  const type = definition.custom ? undefined : typeOfKind(definition.resource.kind)
  const given = definition.openApiSchema ?? (type ? typeSchema(type, used) : { type: 'object' })
  return {
    ...given,
    properties: {
      apiVersion: text('The version of this representation of the object.'),
      kind: text('What the object is.'),
      ...(given.properties as Schema | undefined),
      metadata,
    },
    'x-kubernetes-group-version-kind': [kindExtension(definition)],
  }
}

function pathOf({ resource }: KindDefinition, withName: boolean): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${apiVersionOf(resource)}`
  const namespace = resource.namespaced ? '/namespaces/{namespace}' : ''
  return `${root}${namespace}/${resource.plural}${withName ? '/{name}' : ''}`
}

function queryParameter(name: string, type = 'string'): Schema {
  return { name, in: 'query', schema: { type, uniqueItems: true } }
}

const writeParameters = [
  queryParameter('dryRun'),
  queryParameter('fieldManager'),
  queryParameter('fieldValidation'),
]

function methodOf(definition: KindDefinition, action: string, parameters: Schema[]): Schema {
  const reference = { $ref: `#/components/schemas/${schemaName(definition)}` }
  const content = { 'application/json': { schema: reference } }
  return {
    operationId: `${action}${definition.resource.group}${definition.resource.version}${definition.resource.kind}`,
    parameters,
    responses: { 200: { description: 'OK', content } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindExtension(definition),
  }
}

function pathsOf(definition: KindDefinition): [string, Schema][] {
  const post = methodOf(definition, 'post', writeParameters)
  if (definition.virtual) return [[pathOf(definition, false), { post }]]
  const collection = { get: methodOf(definition, 'list', []), post }
  const object = {
    get: methodOf(definition, 'get', []),
    put: methodOf(definition, 'put', writeParameters),
    patch: methodOf(definition, 'patch', [...writeParameters, queryParameter('force', 'boolean')]),
    delete: methodOf(definition, 'delete', [queryParameter('dryRun')]),
  }
  return [
    [pathOf(definition, false), collection],
    [pathOf(definition, true), object],
  ]
}

/** The OpenAPI v3 document of one API version: enough for kubectl to validate, explain and create. */
export function openApiDocument(definitions: readonly KindDefinition[]): Schema {
  const used = new Set(['ObjectMeta'])
  const schemas = definitions.map((definition) => [schemaName(definition), schemaOf(definition, used)])
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'unversioned' },
    paths: Object.fromEntries(definitions.flatMap(pathsOf)),
    components: { schemas: { ...Object.fromEntries(schemas), ...referencedSchemas(used) } },
  }
}
