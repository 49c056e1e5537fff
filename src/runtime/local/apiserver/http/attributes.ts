import type { Attributes } from '../auth/rbac.ts'
import { forbidden } from '../status.ts'
import type { ApiRequest } from './message.ts'
import { flagOf } from './options.ts'
import type { ResourcePath } from './path.ts'

const upgradable = new Set(['exec', 'attach', 'portforward', 'proxy'])

/** The verb of RBAC for a request. */
export function verbOf(request: ApiRequest, path: ResourcePath): string {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (upgradable.has(path.subresource ?? '') && path.subresource !== 'proxy') return 'create'
      if (path.name !== undefined) return 'get'
      return flagOf(request, 'watch') ? 'watch' : 'list'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    case 'DELETE':
      return path.name === undefined ? 'deletecollection' : 'delete'
    default:
      return request.method.toLowerCase()
  }
}

/**
 * The one object that a list or watch can bring, if its field selector allows one only: a rule with `resourceNames`
 * then covers it. Source: "Restricting access by name", https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
function selectedName(request: ApiRequest): string | undefined {
  const selector = request.query.get('fieldSelector') ?? ''
  return /^metadata\.name==?([^,]+)$/.exec(selector)?.[1]
}

/** What a request for objects wants to do. */
export function resourceAttributes(request: ApiRequest, path: ResourcePath): Attributes {
  const { group, plural, namespace, subresource } = path
  const name = path.name ?? (request.method === 'GET' ? selectedName(request) : undefined)
  return {
    user: request.user,
    verb: verbOf(request, path),
    group,
    plural,
    ...(namespace === undefined ? {} : { namespace }),
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
  }
}

/** 403 with the sentence that people know. */
export function denied(attributes: Attributes): Error {
  const { user, verb, group = '', plural = '', subresource, namespace, name, path } = attributes
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`
  if (path !== undefined) return forbidden(`forbidden: ${who} path ${JSON.stringify(path)}`)
  const what = subresource === undefined ? plural : `${plural}/${subresource}`
  const scope =
    namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`
  const qualified = group === '' ? plural : `${plural}.${group}`
  const object = name === undefined ? '' : ` ${JSON.stringify(name)}`
  const message = `${qualified}${object} is forbidden: ${who} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${scope}`
  return forbidden(message, {
    ...(name === undefined ? {} : { name }),
    ...(group === '' ? {} : { group }),
    kind: plural,
  })
}
