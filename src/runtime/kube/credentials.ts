import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { MeshError, messageOf } from '../shared/errors.ts'
import type { ClusterEntry, ExecEntry, KubeContext, UserEntry } from './kubeconfig.ts'

/** What proves the caller to the API server, for one request. */
export interface Credentials {
  headers: Record<string, string | string[]>
  /** PEM, when the caller proves itself by a certificate. */
  clientCertificate?: { cert: string; key: string }
}

/** Finds the credentials of a request; `refresh` asks for new ones after the server refused the last. */
export type CredentialSource = (refresh: boolean) => Promise<Credentials>

/** How long a token that was read from a file, or given by a plugin, is used before it is asked for again. */
const rereadAfterMs = 60_000

/**
 * The caller of a context. Tokens in files are read again each minute and after a refusal, since kubelet renews them;
 * credential plugins and OIDC are run by @kubernetes/client-node, loaded only when a kubeconfig names them.
 */
export function credentialSource(
  context: KubeContext,
  impersonation: { as?: string; asGroup?: readonly string[] },
  nowMs: () => number,
): CredentialSource {
  const { user } = context
  const fixed: Credentials = {
    headers: impersonationHeaders(user, impersonation),
    ...staticCertificate(user),
  }
  if (user.username !== undefined) {
    const pair = Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')
    fixed.headers.authorization = `Basic ${pair}`
  }
  const renewable = renewableSource(context)
  if (user.token !== undefined && user.tokenFile === undefined) {
    fixed.headers.authorization = `Bearer ${user.token}`
    return () => Promise.resolve(fixed)
  }
  if (renewable === undefined) return () => Promise.resolve(fixed)
  let last: { atMs: number; credentials: Promise<Credentials> } | undefined
  return (refresh) => {
    if (last === undefined || refresh || nowMs() - last.atMs > rereadAfterMs) {
      const credentials = renewable().then((found) => ({
        ...fixed,
        ...found,
        headers: { ...fixed.headers, ...found.headers },
      }))
      const entry = { atMs: nowMs(), credentials }
      last = entry
      credentials.catch(() => {
        if (last === entry) last = undefined
      })
    }
    return last.credentials
  }
}

function renewableSource(context: KubeContext): (() => Promise<Credentials>) | undefined {
  const { user } = context
  const { tokenFile } = user
  if (tokenFile !== undefined) return () => fromTokenFile(tokenFile)
  if (user.exec !== undefined) return fromPlugin(user.exec, context)
  if (user.authProvider !== undefined) return fromAuthProvider(user.authProvider, context.name)
  return undefined
}

async function fromTokenFile(path: string): Promise<Credentials> {
  try {
    return { headers: { authorization: `Bearer ${(await readFile(path, 'utf8')).trim()}` } }
  } catch (error) {
    throw credentialError(`Cannot read the token ${path}`, messageOf(error), [
      'Mend the path in the kubeconfig.',
    ])
  }
}

function fromPlugin(exec: ExecEntry, context: KubeContext): () => Promise<Credentials> {
  const info = {
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      ...(exec.provideClusterInfo === true ? { cluster: clusterInfo(context.cluster) } : {}),
    },
  }
  const environment = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }]
  return async () => {
    const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js')
    const options: RequestOptions = { headers: {} }
    try {
      // A new instance each time: how long an answer is good is decided by credentialSource.
      await new ExecAuth().applyAuthentication(
        { name: context.name, exec: { ...exec, env: environment } },
        options,
      )
    } catch (error) {
      throw credentialError(
        `The credential plugin ${exec.command} failed`,
        messageOf(error).trim(),
        exec.installHint === undefined ? [`Run it by itself: ${exec.command}`] : [exec.installHint],
      )
    }
    return fromRequestOptions(options)
  }
}

function clusterInfo(cluster: ClusterEntry): Record<string, unknown> {
  const ca = certificateAuthority(cluster)
  return {
    server: cluster.server,
    ...(cluster.tlsServerName === undefined ? {} : { 'tls-server-name': cluster.tlsServerName }),
    ...(cluster.insecureSkipTlsVerify ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
  }
}

function fromAuthProvider(
  provider: NonNullable<UserEntry['authProvider']>,
  contextName: string,
): () => Promise<Credentials> {
  return async () => {
    if (provider.name !== 'oidc') {
      throw credentialError(
        `The kubeconfig names the auth provider ${provider.name}`,
        'Kubernetes removed it; only oidc is left',
        ['Use a credential plugin (exec) instead.'],
      )
    }
    const { OpenIDConnectAuth } = await import('@kubernetes/client-node/dist/oidc_auth.js')
    const options: RequestOptions = { headers: {} }
    try {
      await new OpenIDConnectAuth().applyAuthentication(
        { name: contextName, authProvider: provider },
        options,
      )
    } catch (error) {
      throw credentialError('The OIDC login of the kubeconfig failed', messageOf(error), ['Log in again.'])
    }
    return fromRequestOptions(options)
  }
}

function fromRequestOptions(options: RequestOptions): Credentials {
  const given = (options.headers ?? {}) as Record<string, string>
  const authorization = given.Authorization ?? given.authorization
  return {
    headers: authorization === undefined ? {} : { authorization },
    ...(typeof options.cert === 'string' && typeof options.key === 'string'
      ? { clientCertificate: { cert: options.cert, key: options.key } }
      : {}),
  }
}

function impersonationHeaders(
  user: UserEntry,
  given: { as?: string; asGroup?: readonly string[] },
): Record<string, string | string[]> {
  const name = given.as ?? user.impersonate
  const groups = given.asGroup ?? user.impersonateGroups ?? []
  if (name === undefined) {
    if (groups.length === 0) return {}
    throw new MeshError({
      code: 'MESH_KUBECONFIG_INVALID',
      kind: 'usage',
      message: 'A group is impersonated without a user',
      next: ['Add --as NAME to --as-group.'],
    })
  }
  return {
    'impersonate-user': name,
    ...(groups.length > 0 ? { 'impersonate-group': [...groups] } : {}),
  }
}

function staticCertificate(user: UserEntry): Pick<Credentials, 'clientCertificate'> {
  const cert = decodedOrRead(user.clientCertificateData, user.clientCertificate)
  const key = decodedOrRead(user.clientKeyData, user.clientKey)
  return cert === undefined || key === undefined ? {} : { clientCertificate: { cert, key } }
}

/** PEM of the authority that the API server's certificate must come from; the system's authorities when undefined. */
export function certificateAuthority(cluster: ClusterEntry): string | undefined {
  return decodedOrRead(cluster.certificateAuthorityData, cluster.certificateAuthority)
}

function decodedOrRead(base64: string | undefined, file: string | undefined): string | undefined {
  if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('utf8')
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw credentialError(`Cannot read ${file}`, messageOf(error), ['Mend the path in the kubeconfig.'])
  }
}

function credentialError(message: string, reason: string, next: string[]): MeshError {
  return new MeshError({ code: 'MESH_KUBE_CREDENTIALS', kind: 'environment', message, reason, next })
}
