import { resources } from '../../../kube/resources.ts'
import type { Resource } from '../../../kube/types.ts'
import { objectsAt, stringAt } from '../json.ts'
import type { StoredObject, User } from '../objects.ts'
import type { Store } from '../store.ts'

/** One `PolicyRule` of a role. */
export interface PolicyRule {
  verbs: string[]
  apiGroups?: string[]
  resources?: string[]
  resourceNames?: string[]
  nonResourceURLs?: string[]
}

/** What somebody wants to do. */
export interface Attributes {
  user: User
  verb: string
  /** Set for a path that is not about objects; the other fields are then unused. */
  path?: string
  namespace?: string
  group?: string
  plural?: string
  subresource?: string
  name?: string
}

export interface Decision {
  allowed: boolean
  /** Why it is allowed; empty otherwise. */
  reason: string
}

const rbacGroup = 'rbac.authorization.k8s.io'
const roles: Resource = { group: rbacGroup, version: 'v1', plural: 'roles', kind: 'Role', namespaced: true }
const roleBindings: Resource = {
  group: rbacGroup,
  version: 'v1',
  plural: 'rolebindings',
  kind: 'RoleBinding',
  namespaced: true,
}

export const mastersGroup = 'system:masters'

function includes(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(value))
}

function resourceMatches(rule: PolicyRule, attributes: Attributes): boolean {
  const { plural = '', subresource } = attributes
  const combined = subresource === undefined ? plural : `${plural}/${subresource}`
  return (rule.resources ?? []).some(
    (resource) =>
      resource === '*' ||
      resource === combined ||
      (subresource !== undefined && resource === `*/${subresource}`),
  )
}

function pathMatches(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true
  return pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1))
}

/** Whether a rule allows what somebody wants to do. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!includes(rule.verbs, attributes.verb)) return false
  const { path } = attributes
  if (path !== undefined) return (rule.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, path))
  if (!includes(rule.apiGroups, attributes.group ?? '') || !resourceMatches(rule, attributes)) return false
  const names = rule.resourceNames ?? []
  return names.length === 0 || (attributes.name !== undefined && names.includes(attributes.name))
}

function subjectMatches(
  subject: Record<string, unknown>,
  user: User,
  bindingNamespace: string | undefined,
): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.name === user.name
    case 'Group':
      return user.groups.includes(String(subject.name))
    case 'ServiceAccount': {
      const namespace = String(subject.namespace ?? bindingNamespace ?? '')
      return user.name === `system:serviceaccount:${namespace}:${String(subject.name)}`
    }
    default:
      return false
  }
}

/** Rules that a binding gives, and where they come from. */
export interface GrantedRules {
  rules: PolicyRule[]
  source: string
}

/** Role-based access control, evaluated on the roles and bindings of the store. */
export class Authorizer {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  authorize(attributes: Attributes): Decision {
    if (attributes.user.groups.includes(mastersGroup)) return { allowed: true, reason: '' }
    for (const { rules, source } of this.grants(attributes.user, attributes.namespace)) {
      if (rules.some((rule) => ruleAllows(rule, attributes)))
        return { allowed: true, reason: `RBAC: allowed by ${source}` }
    }
    return { allowed: false, reason: '' }
  }

  /** What a user may do in the whole cluster and, when one is named, in a namespace. */
  *grants(user: User, namespace: string | undefined): Generator<GrantedRules> {
    for (const binding of this.#store.list(resources.clusterRoleBindings).items)
      yield* this.#granted(binding, user)
    if (namespace === undefined || namespace === '') return
    for (const binding of this.#store.list(roleBindings, { namespace }).items)
      yield* this.#granted(binding, user)
  }

  *#granted(binding: StoredObject, user: User): Generator<GrantedRules> {
    const { name, namespace } = binding.metadata
    const subject = objectsAt(binding, ['subjects']).find((candidate) =>
      subjectMatches(candidate, user, namespace),
    )
    if (!subject) return
    const roleKind = stringAt(binding, ['roleRef', 'kind']) ?? ''
    const roleName = stringAt(binding, ['roleRef', 'name']) ?? ''
    const role =
      roleKind === 'ClusterRole'
        ? this.#store.get(resources.clusterRoles, roleName)
        : this.#store.get(roles, roleName, namespace)
    if (!role) return
    const kind = binding.kind ?? ''
    const where = namespace === undefined ? `"${name}"` : `"${name}/${namespace}"`
    const who = `${String(subject.kind)} "${String(subject.name)}"`
    const source = `${kind} ${where} of ${roleKind} "${roleName}" to ${who}`
    yield { rules: objectsAt(role, ['rules']) as unknown as PolicyRule[], source }
  }
}
