import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { parse } from 'yaml'
import type { EnvReader } from '../shared/env.ts'
import { MeshError, messageOf } from '../shared/errors.ts'

/** Where a pod finds its service account. */
export const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount'

/** How to reach an API server. Files are named by absolute paths. */
export interface ClusterEntry {
  server: string
  certificateAuthorityData?: string
  certificateAuthority?: string
  insecureSkipTlsVerify: boolean
  tlsServerName?: string
  proxyUrl?: string
}

/** Who the caller is. */
export interface UserEntry {
  clientCertificateData?: string
  clientCertificate?: string
  clientKeyData?: string
  clientKey?: string
  token?: string
  /** Read again while running: kubelet renews it. */
  tokenFile?: string
  username?: string
  password?: string
  exec?: ExecEntry
  authProvider?: { name: string; config?: Record<string, string> }
  impersonate?: string
  impersonateGroups?: string[]
}

/** A credential plugin, https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins */
export interface ExecEntry {
  apiVersion?: string
  command: string
  args?: string[]
  env?: { name: string; value: string }[]
  provideClusterInfo?: boolean
  installHint?: string
}

/** A context with everything that it names. */
export interface KubeContext {
  /** `in-cluster` for a pod's own service account. */
  name: string
  cluster: ClusterEntry
  user: UserEntry
  namespace: string
}

/** Which context to use. */
export interface ContextOptions {
  /** One file, instead of `$KUBECONFIG` and `~/.kube/config`. */
  kubeconfig?: string
  context?: string
  /** Use the pod's service account and nothing else. */
  inCluster?: boolean
  /** Where the service account is mounted; tests move it. */
  serviceAccountDir?: string
}

type Entry = Record<string, unknown>

interface Merged {
  files: string[]
  currentContext: string
  contexts: Map<string, Entry>
  clusters: Map<string, Entry>
  users: Map<string, Entry>
}

/**
 * Finds the context by kubectl's rules: the given file; else the files of `$KUBECONFIG`, where the first to name a
 * thing wins; else `~/.kube/config`; else the pod's service account.
 * @throws MeshError `MESH_KUBECONFIG_NOT_FOUND`, `MESH_KUBECONFIG_INVALID`, `MESH_KUBECONFIG_CONTEXT`
 */
export function loadContext(options: ContextOptions, env: EnvReader): KubeContext {
  const accountDir = options.serviceAccountDir ?? serviceAccountDir
  if (options.inCluster) return inClusterContext(env, accountDir)
  const files = kubeconfigFiles(options.kubeconfig, env)
  const found = files.filter((file) => existsSync(file))
  if (found.length === 0) {
    if (options.kubeconfig === undefined && options.context === undefined && isInCluster(env, accountDir)) {
      return inClusterContext(env, accountDir)
    }
    throw new MeshError({
      code: 'MESH_KUBECONFIG_NOT_FOUND',
      kind: 'usage',
      message: `No kubeconfig at ${files.join(', ')}`,
      next: [
        'Name a file with --kubeconfig or $KUBECONFIG.',
        'mesh local start   # a cluster on this machine',
      ],
    })
  }
  return selectContext(mergeFiles(found), options.context)
}

function kubeconfigFiles(explicit: string | undefined, env: EnvReader): string[] {
  if (explicit !== undefined) return [resolve(explicit)]
  const listed = (env('KUBECONFIG') ?? '').split(delimiter).filter((file) => file !== '')
  if (listed.length > 0) return listed.map((file) => resolve(file))
  return [join(env('HOME') ?? homedir(), '.kube', 'config')]
}

function mergeFiles(files: string[]): Merged {
  const merged: Merged = {
    files,
    currentContext: '',
    contexts: new Map(),
    clusters: new Map(),
    users: new Map(),
  }
  for (const file of files) {
    const document = readDocument(file)
    if (merged.currentContext === '') merged.currentContext = text(document['current-context']) ?? ''
    addEntries(merged.contexts, document.contexts, 'context', file)
    addEntries(merged.clusters, document.clusters, 'cluster', file)
    addEntries(merged.users, document.users, 'user', file)
  }
  return merged
}

function readDocument(file: string): Entry {
  let document: unknown
  try {
    document = parse(readFileSync(file, 'utf8'), { logLevel: 'error' })
  } catch (error) {
    throw invalid(`Cannot read kubeconfig ${file}`, messageOf(error).split('\n')[0])
  }
  if (document === null || document === undefined) return {}
  if (!isEntry(document)) throw invalid(`Kubeconfig ${file} is not a YAML mapping`)
  return document
}

const pathFields: Record<string, string[]> = {
  cluster: ['certificate-authority'],
  user: ['client-certificate', 'client-key', 'tokenFile', 'token-file'],
  context: [],
}

function addEntries(into: Map<string, Entry>, list: unknown, field: string, file: string): void {
  if (list === undefined || list === null) return
  if (!Array.isArray(list)) throw invalid(`${field}s of kubeconfig ${file} is not a list`)
  for (const item of list as unknown[]) {
    const name = isEntry(item) ? text(item.name) : undefined
    if (!isEntry(item) || name === undefined || into.has(name)) continue
    const value = item[field]
    into.set(name, absolutePaths(isEntry(value) ? { ...value } : {}, pathFields[field] ?? [], file))
  }
}

function absolutePaths(entry: Entry, fields: string[], file: string): Entry {
  for (const field of fields) {
    const path = text(entry[field])
    if (path !== undefined && !isAbsolute(path)) entry[field] = resolve(dirname(file), path)
  }
  const exec = entry.exec
  const command = isEntry(exec) ? text(exec.command) : undefined
  // A bare name is looked up on PATH; a path with a slash is relative to its file.
  if (isEntry(exec) && command?.includes('/') && !isAbsolute(command)) {
    entry.exec = { ...exec, command: resolve(dirname(file), command) }
  }
  return entry
}

function selectContext(merged: Merged, wanted: string | undefined): KubeContext {
  const name = wanted ?? merged.currentContext
  const known = [...merged.contexts.keys()]
  const fail = (message: string) =>
    new MeshError({
      code: 'MESH_KUBECONFIG_CONTEXT',
      kind: 'usage',
      message,
      reason: `${merged.files.join(', ')} has ${known.length === 0 ? 'no contexts' : `the contexts ${known.join(', ')}`}`,
      next: ['kubectl config get-contexts', 'Choose one with --context or `kubectl config use-context`.'],
    })
  if (name === '') throw fail('The kubeconfig has no current context')
  const context = merged.contexts.get(name)
  if (context === undefined) throw fail(`The kubeconfig has no context ${name}`)
  const clusterName = text(context.cluster) ?? ''
  const cluster = merged.clusters.get(clusterName)
  if (cluster === undefined)
    throw fail(`Context ${name} names the cluster "${clusterName}", which is not there`)
  const userName = text(context.user) ?? ''
  const user = merged.users.get(userName)
  if (user === undefined && userName !== '') {
    throw fail(`Context ${name} names the user "${userName}", which is not there`)
  }
  return {
    name,
    cluster: clusterOf(cluster, clusterName),
    user: userOf(user ?? {}, userName),
    namespace: text(context.namespace) ?? 'default',
  }
}

function clusterOf(entry: Entry, name: string): ClusterEntry {
  const server = text(entry.server)
  if (server === undefined || !URL.canParse(server) || !/^https?:/.test(server)) {
    throw invalid(`Cluster ${name} has the server "${server ?? ''}", which is not an http or https URL`)
  }
  const insecureSkipTlsVerify = entry['insecure-skip-tls-verify'] === true
  const ca = text(entry['certificate-authority-data']) ?? text(entry['certificate-authority'])
  if (insecureSkipTlsVerify && ca !== undefined) {
    throw invalid(`Cluster ${name} names a certificate authority and also insecure-skip-tls-verify`)
  }
  return {
    server: server.replace(/\/+$/, ''),
    insecureSkipTlsVerify,
    ...optional('certificateAuthorityData', text(entry['certificate-authority-data'])),
    ...optional('certificateAuthority', text(entry['certificate-authority'])),
    ...optional('tlsServerName', text(entry['tls-server-name'])),
    ...optional('proxyUrl', text(entry['proxy-url'])),
  }
}

function userOf(entry: Entry, name: string): UserEntry {
  const exec = entry.exec
  if (isEntry(exec) && text(exec.command) === undefined) {
    throw invalid(`User ${name} has an exec plugin without a command`)
  }
  const provider = entry['auth-provider']
  return {
    ...optional('clientCertificateData', text(entry['client-certificate-data'])),
    ...optional('clientCertificate', text(entry['client-certificate'])),
    ...optional('clientKeyData', text(entry['client-key-data'])),
    ...optional('clientKey', text(entry['client-key'])),
    ...optional('token', text(entry.token)),
    ...optional('tokenFile', text(entry.tokenFile) ?? text(entry['token-file'])),
    ...optional('username', text(entry.username)),
    ...optional('password', text(entry.password)),
    ...(isEntry(exec) ? { exec: exec as unknown as ExecEntry } : {}),
    ...(isEntry(provider) ? { authProvider: provider as unknown as { name: string } } : {}),
    ...optional('impersonate', text(entry.as)),
    ...(Array.isArray(entry['as-groups']) ? { impersonateGroups: entry['as-groups'].map(String) } : {}),
  }
}

function isInCluster(env: EnvReader, accountDir: string): boolean {
  return env('KUBERNETES_SERVICE_HOST') !== undefined && existsSync(join(accountDir, 'token'))
}

function inClusterContext(env: EnvReader, accountDir: string): KubeContext {
  const host = env('KUBERNETES_SERVICE_HOST')
  const port = env('KUBERNETES_SERVICE_PORT') ?? '443'
  if (host === undefined || !existsSync(join(accountDir, 'token'))) {
    throw new MeshError({
      code: 'MESH_KUBECONFIG_NOT_FOUND',
      kind: 'environment',
      message: 'This is not a pod with a service account',
      reason: `$KUBERNETES_SERVICE_HOST or ${join(accountDir, 'token')} is missing`,
      next: ['Outside a pod, name a kubeconfig with --kubeconfig.'],
    })
  }
  const namespaceFile = join(accountDir, 'namespace')
  return {
    name: 'in-cluster',
    cluster: {
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      certificateAuthority: join(accountDir, 'ca.crt'),
      insecureSkipTlsVerify: false,
    },
    user: { tokenFile: join(accountDir, 'token') },
    namespace: existsSync(namespaceFile) ? readFileSync(namespaceFile, 'utf8').trim() : 'default',
  }
}

function invalid(message: string, reason?: string): MeshError {
  return new MeshError({
    code: 'MESH_KUBECONFIG_INVALID',
    kind: 'usage',
    message,
    ...(reason === undefined ? {} : { reason }),
    next: ['kubectl config view', 'Mend the file, or name another with --kubeconfig.'],
  })
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field that is text and not empty. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: string }
}
