import { isObject, stringAt, valueAt } from '../json.ts'
import type { StoredObject, User } from '../objects.ts'
import { badRequest } from '../status.ts'
import type { Attributes, Authorizer, PolicyRule } from './rbac.ts'
import type { ServiceAccountTokens } from './tokens.ts'

/** What reviews are answered from. */
export interface ReviewContext {
  authorizer: Authorizer
  tokens: ServiceAccountTokens
  user: User
  /** Of the path, for LocalSubjectAccessReview. */
  namespace: string | undefined
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function answer(review: StoredObject, status: Record<string, unknown>): StoredObject {
  return { ...review, metadata: review.metadata ?? {}, status }
}

function attributesOf(spec: unknown, user: User): Attributes {
  const path = stringAt(spec, ['nonResourceAttributes', 'path'])
  if (path !== undefined) return { user, path, verb: stringAt(spec, ['nonResourceAttributes', 'verb']) ?? '' }
  const wanted = valueAt(spec, ['resourceAttributes'])
  if (!isObject(wanted)) throw badRequest('spec.resourceAttributes or spec.nonResourceAttributes is required')
  const text = (key: string) => stringAt(wanted, [key]) || undefined
  const optional = {
    namespace: text('namespace'),
    subresource: text('subresource'),
    name: text('name'),
  }
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  return {
    user,
    verb: text('verb') ?? '',
    group: text('group') ?? '',
    plural: text('resource') ?? '',
    ...given,
  }
}

function accessStatus(context: ReviewContext, attributes: Attributes): Record<string, unknown> {
  const { allowed, reason } = context.authorizer.authorize(attributes)
  return { allowed, ...(reason === '' ? {} : { reason }) }
}

function subjectOf(spec: unknown): User {
  const name = stringAt(spec, ['user']) ?? ''
  const groups = strings(valueAt(spec, ['groups']))
  if (name === '' && groups.length === 0)
    throw badRequest('at least one of spec.user or spec.groups must be specified')
  return { name, groups }
}

function reviewToken(review: StoredObject, context: ReviewContext): StoredObject {
  const token = stringAt(review, ['spec', 'token'])
  if (!token) throw badRequest('spec.token is required for TokenReview')
  const checked = context.tokens.check(token, strings(valueAt(review, ['spec', 'audiences'])))
  if ('error' in checked) return answer(review, { authenticated: false, user: {}, error: checked.error })
  const { name, uid, groups, extra } = checked.user
  return answer(review, {
    authenticated: true,
    user: { username: name, uid, groups, extra },
    audiences: checked.audiences,
  })
}

function reviewRules(review: StoredObject, context: ReviewContext): StoredObject {
  const namespace = stringAt(review, ['spec', 'namespace'])
  if (!namespace) throw badRequest('no namespace on request')
  const everything: PolicyRule[] = [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ]
  const isMaster = context.user.groups.includes('system:masters')
  const granted = [...context.authorizer.grants(context.user, namespace)].flatMap(({ rules }) => rules)
  const rules = isMaster ? [...everything, ...granted] : granted
  const resourceRules = rules.filter((rule) => rule.nonResourceURLs === undefined)
  const nonResourceRules = rules.filter((rule) => rule.nonResourceURLs !== undefined)
  return answer(review, { resourceRules, nonResourceRules, incomplete: false })
}

type Reviewer = (review: StoredObject, context: ReviewContext) => StoredObject

const subjectAccess: Reviewer = (review, context) =>
  answer(review, accessStatus(context, attributesOf(review.spec, subjectOf(review.spec))))

const reviewers: Record<string, Reviewer> = {
  TokenReview: reviewToken,
  SubjectAccessReview: subjectAccess,
  LocalSubjectAccessReview(review, context) {
    const wanted = stringAt(review, ['spec', 'resourceAttributes', 'namespace'])
    if (wanted !== context.namespace)
      throw badRequest('namespace on request does not match spec.resourceAttributes.namespace')
    return subjectAccess(review, context)
  },
  SelfSubjectAccessReview: (review, context) =>
    answer(review, accessStatus(context, attributesOf(review.spec, context.user))),
  SelfSubjectRulesReview: reviewRules,
  SelfSubjectReview(review, context) {
    const { name, uid, groups, extra } = context.user
    return answer(review, {
      userInfo: { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) },
    })
  },
}

/**
 * Answers a review: an object that is a question, see
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/.
 * @throws KubeError 400 when the question is incomplete
 */
export function answerReview(kind: string, review: StoredObject, context: ReviewContext): StoredObject {
  const reviewer = reviewers[kind]
  if (!reviewer) throw badRequest(`${kind} is not a review`)
  return reviewer(review, context)
}
