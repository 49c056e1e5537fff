import { connect, type KubeConnection } from '../kube/client.ts'
import { processEnv } from '../shared/env.ts'

/** Which cluster, as whom, and which namespace: what kubectl's flags say. */
export interface ConnectionOptions {
  kubeconfig?: string
  context?: string
  /** Instead of the namespace of the context. */
  namespace?: string
  /** User to impersonate. */
  as?: string
  /** Groups to impersonate. */
  asGroup?: readonly string[]
}

/** A connected cluster, and the namespace that the command line means. */
export interface ConnectedCluster {
  client: KubeConnection
  namespace: string
}

/**
 * Connects as a command line asks. Nothing is sent yet.
 * @throws MeshError `MESH_KUBECONFIG_*`
 */
export function connectCluster(options: ConnectionOptions): ConnectedCluster {
  const { namespace, ...rest } = options
  const client = connect(rest, processEnv)
  return { client, namespace: namespace ?? client.defaultNamespace }
}
