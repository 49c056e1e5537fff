import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { User } from '../objects.ts'
import { StatusError } from '../status.ts'
import type { ServiceAccountTokens } from './tokens.ts'

export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

/** The server's own work. */
export const internalUser: User = {
  name: 'system:apiserver',
  groups: ['system:masters', 'system:authenticated'],
}

function asList(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : []
}

/** The user that a verified client certificate names: CN is the name, each O a group. */
function certificateUser(socket: Socket): User | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const { subject } = socket.getPeerCertificate()
  const name = asList(subject?.CN)[0]
  return name === undefined ? undefined : { name, groups: [...asList(subject?.O), 'system:authenticated'] }
}

/**
 * Who sends a request: by bearer token, by client certificate, or nobody.
 * @throws KubeError 401 for a token that is wrong
 */
export function authenticate(
  socket: Socket,
  authorization: string | undefined,
  tokens: ServiceAccountTokens,
): User {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(authorization ?? '')?.[1]
  if (bearer === undefined) return certificateUser(socket) ?? anonymous
  const checked = tokens.check(bearer)
  if ('user' in checked) return checked.user
  throw new StatusError(401, 'Unauthorized', 'Unauthorized')
}
