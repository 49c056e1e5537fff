import { denied } from '../http/attributes.ts'
import type { User } from '../objects.ts'
import { badRequest } from '../status.ts'
import type { Attributes, Authorizer } from './rbac.ts'

const userHeader = 'impersonate-user'
const groupHeader = 'impersonate-group'
const uidHeader = 'impersonate-uid'
const extraPrefix = 'impersonate-extra-'

const serviceAccountName = /^system:serviceaccount:([^:]+):([^:]+)$/

function groupsOf(name: string, given: readonly string[]): string[] {
  const account = serviceAccountName.exec(name)
  const own = account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`] : []
  if (name === 'system:anonymous') return [...given, 'system:unauthenticated']
  return [...new Set([...given, ...(given.length === 0 ? own : []), 'system:authenticated'])]
}

function wanted(user: User, name: string, groups: readonly string[]): Attributes[] {
  const account = serviceAccountName.exec(name)
  const verb = 'impersonate'
  const who: Attributes = account
    ? { user, verb, plural: 'serviceaccounts', namespace: account[1] ?? '', name: account[2] ?? '' }
    : { user, verb, plural: 'users', name }
  return [who, ...groups.map((group) => ({ user, verb, plural: 'groups', name: group }))]
}

/**
 * The user that a request asks to act as (`kubectl --as`), or the caller itself.
 * @param headers names in lower case
 * @throws KubeError 400 without a user name, 403 when the caller may not impersonate
 */
export function impersonate(caller: User, headers: Record<string, string>, authorizer: Authorizer): User {
  const name = headers[userHeader]
  const groups = (headers[groupHeader] ?? '')
    .split(',')
    .map((group) => group.trim())
    .filter((group) => group !== '')
  const isAsked = Object.keys(headers).some((header) => header.startsWith('impersonate-'))
  if (!isAsked) return caller
  if (!name) throw badRequest('requested to impersonate without a user name')
  for (const attributes of wanted(caller, name, groups)) {
    if (!authorizer.authorize(attributes).allowed) throw denied(attributes)
  }
  const extra = Object.entries(headers)
    .filter(([header]) => header.startsWith(extraPrefix))
    .map(([header, value]) => [header.slice(extraPrefix.length), value.split(',').map((item) => item.trim())])
  const uid = headers[uidHeader]
  return {
    name,
    ...(uid ? { uid } : {}),
    groups: groupsOf(name, groups),
    ...(extra.length > 0 ? { extra: Object.fromEntries(extra) as Record<string, string[]> } : {}),
  }
}
