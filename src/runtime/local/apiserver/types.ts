import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { KubeClient } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/logger.ts'
import type { User } from './objects.ts'
import type { Store } from './store.ts'

export interface PodLogOptions {
  follow: boolean
  previous: boolean
  timestamps: boolean
  /** Only the last lines of the file; all when absent. */
  tailLines?: number
  sinceSeconds?: number
  /** RFC 3339. */
  sinceTime?: string
  limitBytes?: number
  signal: AbortSignal
}

export interface PodExecOptions {
  command: string[]
  tty: boolean
  stdin: Duplex | undefined
  stdout: Duplex | undefined
  stderr: Duplex | undefined
  /** Called with the terminal's size whenever the client changes it. */
  onResize: (listener: (size: { columns: number; rows: number }) => void) => void
  signal: AbortSignal
}

/** What the node agent does for the server. Each rejects with a KubeError, or any error, which is shown to the client. */
export interface NodeHooks {
  podLogs(
    namespace: string,
    pod: string,
    container: string,
    options: PodLogOptions,
  ): AsyncIterable<Uint8Array>
  /** Runs a command in a container and answers with its exit code when it has ended. */
  podExec(namespace: string, pod: string, container: string, options: PodExecOptions): Promise<number>
  /** A connection to a port on the loopback interface of the pod. */
  podPortForward(namespace: string, pod: string, port: number): Promise<Duplex>
  /** A connection from the node to an address of the pod network. */
  dialPod(ip: string, port: number): Promise<Duplex>
}

export interface ApiServerOptions {
  /** PEM. The certificate must name `kubernetes.default.svc`, the loopback address and the cluster address. */
  tls: { certificate: string; privateKey: string }
  /** PEM of the cluster's certificate authority: verifies client certificates, and is what pods trust. */
  clusterCa: string
  /** PEM (PKCS #8) of the P-256 key that signs service-account tokens; a new one when absent. */
  serviceAccountKey?: string
  /** Minor version that `/version` tells; 32 by default. */
  minorVersion?: number
  /** Range of ClusterIPs, `10.96.0.0/16` by default. The first address is the service `kubernetes`. */
  serviceRange?: string
  /** Addresses behind the service `kubernetes`, such as `[{ ip: '10.0.0.1', port: 6443 }]`. */
  apiEndpoints?: { ip: string; port: number }[]
  clock?: Clock
  logger?: Logger
}

/** Where {@link ApiServer.listen} listens. */
export type ListenTarget = { host: string; port: number } | { fd: number }

export interface Listening {
  address: string
  port: number
  close(): Promise<void>
}

export interface ApiServer {
  /** Read with it, subscribe to it. Write through {@link client}, which defaults, validates and admits. */
  readonly store: Store
  /** Speaks to the server without a socket, as `system:masters`. Admission webhooks are called. */
  readonly client: KubeClient
  /** Without certificate or token the caller is anonymous; used on sockets that TLS ended elsewhere, and by tests. */
  handle(request: IncomingMessage, response: ServerResponse, user?: User): void
  /** Listens with TLS. May be called several times. */
  listenTls(target: ListenTarget): Promise<Listening>
  setNodeHooks(hooks: NodeHooks): void
  /** A token of a service account, as TokenRequest would give it. */
  issueServiceAccountToken(request: ServiceAccountTokenRequest): ServiceAccountToken
  /** Ends every listener, watch and timer. */
  close(): Promise<void>
}

export interface ServiceAccountTokenRequest {
  namespace: string
  serviceAccount: string
  /** The API server's own audience when empty. */
  audiences?: string[]
  expirationSeconds?: number
  /** The token dies with this pod. */
  pod?: { name: string; uid: string }
}

export interface ServiceAccountToken {
  token: string
  /** RFC 3339. */
  expirationTimestamp: string
}
