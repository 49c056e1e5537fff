import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  verify,
} from 'node:crypto'
import { resources } from '../../../kube/resources.ts'
import type { Clock } from '../../../shared/clock.ts'
import { isObject, stringAt } from '../json.ts'
import type { User } from '../objects.ts'
import { notFound } from '../status.ts'
import type { Store } from '../store.ts'
import type { ServiceAccountToken, ServiceAccountTokenRequest } from '../types.ts'

/** The issuer and the default audience of service-account tokens. */
export const tokenIssuer = 'https://kubernetes.default.svc.cluster.local'

const defaultLifetimeSeconds = 3600
const minLifetimeSeconds = 600
const maxLifetimeSeconds = 48 * 3600

/** The result of checking a token. */
export type TokenCheck = { user: User; audiences: string[] } | { error: string }

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decode(part: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Issues and checks the tokens of service accounts: JWTs (RFC 7519) signed with ES256 (RFC 7518). */
export class ServiceAccountTokens {
  readonly #store: Store
  readonly #clock: Clock
  readonly #privateKey: KeyObject
  readonly #publicKey: KeyObject
  readonly #keyId: string

  /** @param privateKey PEM of a P-256 key; a new key when undefined */
  constructor(store: Store, clock: Clock, privateKey: string | undefined) {
    this.#store = store
    this.#clock = clock
    this.#privateKey =
      privateKey === undefined
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
        : createPrivateKey(privateKey)
    this.#publicKey = createPublicKey(this.#privateKey)
    const der = this.#publicKey.export({ type: 'spki', format: 'der' })
    this.#keyId = createHash('sha256').update(der).digest('base64url')
  }

  /** The public key as a JSON Web Key Set, RFC 7517. */
  keySet(): unknown {
    const key = this.#publicKey.export({ format: 'jwk' })
    return { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: this.#keyId }] }
  }

  /**
   * A new token.
   * @throws KubeError 404 when the account is not there
   */
  issue(request: ServiceAccountTokenRequest): ServiceAccountToken {
    const { namespace, serviceAccount, pod } = request
    const account = this.#store.get(resources.serviceAccounts, serviceAccount, namespace)
    if (!account) throw notFound(resources.serviceAccounts, serviceAccount)
    const wanted = request.expirationSeconds ?? defaultLifetimeSeconds
    const lifetime = Math.min(Math.max(wanted, minLifetimeSeconds), maxLifetimeSeconds)
    const now = Math.floor(this.#clock.nowMs() / 1000)
    const audiences = request.audiences?.length ? request.audiences : [tokenIssuer]
    const claims = {
      aud: audiences,
      exp: now + lifetime,
      iat: now,
      iss: tokenIssuer,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace,
        ...(pod ? { pod } : {}),
        serviceaccount: { name: serviceAccount, uid: account.metadata.uid },
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
    }
    const body = `${encode({ alg: 'ES256', kid: this.#keyId })}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(body), { key: this.#privateKey, dsaEncoding: 'ieee-p1363' })
    const expirationTimestamp = `${new Date((now + lifetime) * 1000).toISOString().slice(0, 19)}Z`
    return { token: `${body}.${signature.toString('base64url')}`, expirationTimestamp }
  }

  /**
   * Checks signature, lifetime, audience, and that account and pod still exist.
   * @param audiences one of them must be in the token; the server's own when empty
   */
  check(token: string, audiences: readonly string[] = []): TokenCheck {
    const claims = this.#verified(token)
    if (!claims) return { error: 'invalid bearer token' }
    const now = this.#clock.nowMs() / 1000
    if (typeof claims.exp !== 'number' || claims.exp <= now)
      return { error: 'service account token has expired' }
    if (typeof claims.nbf === 'number' && claims.nbf > now + 10)
      return { error: 'service account token is not valid yet' }
    const accepted = audiences.length > 0 ? audiences : [tokenIssuer]
    const given = Array.isArray(claims.aud) ? claims.aud.map(String) : [String(claims.aud)]
    const common = accepted.filter((audience) => given.includes(audience))
    if (common.length === 0) {
      return {
        error: `token audiences ${JSON.stringify(given)} is invalid for the target audiences ${JSON.stringify(accepted)}`,
      }
    }
    return this.#userOf(claims, common)
  }

  #verified(token: string): Record<string, unknown> | undefined {
    const [header, payload, signature, extra] = token.split('.')
    if (!signature || extra !== undefined) return undefined
    const fields = decode(header)
    if (fields?.alg !== 'ES256') return undefined
    const bytes = Buffer.from(signature, 'base64url')
    const key = { key: this.#publicKey, dsaEncoding: 'ieee-p1363' as const }
    if (bytes.length !== 64 || !verify('sha256', Buffer.from(`${header}.${payload}`), key, bytes))
      return undefined
    const claims = decode(payload)
    return claims?.iss === tokenIssuer ? claims : undefined
  }

  #userOf(claims: Record<string, unknown>, audiences: string[]): TokenCheck {
    const own = claims['kubernetes.io']
    const namespace = stringAt(own, ['namespace']) ?? ''
    const name = stringAt(own, ['serviceaccount', 'name']) ?? ''
    const uid = stringAt(own, ['serviceaccount', 'uid']) ?? ''
    const account = this.#store.get(resources.serviceAccounts, name, namespace)
    if (account?.metadata.uid !== uid)
      return { error: `service account ${namespace}/${name} has been deleted` }
    const extra: Record<string, string[]> = {
      'authentication.kubernetes.io/credential-id': [`JTI=${String(claims.jti)}`],
    }
    const podName = stringAt(own, ['pod', 'name'])
    if (podName !== undefined) {
      const podUid = stringAt(own, ['pod', 'uid']) ?? ''
      const pod = this.#store.get(resources.pods, podName, namespace)
      if (pod?.metadata.uid !== podUid)
        return { error: `pod ${namespace}/${podName} of the token has been deleted` }
      extra['authentication.kubernetes.io/pod-name'] = [podName]
      extra['authentication.kubernetes.io/pod-uid'] = [podUid]
    }
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated']
    return { user: { name: `system:serviceaccount:${namespace}:${name}`, uid, groups, extra }, audiences }
  }
}
