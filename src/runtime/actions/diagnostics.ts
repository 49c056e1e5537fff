import { createHash } from 'node:crypto'
import { resources } from '../kube/resources.ts'
import type { KubeClient } from '../kube/types.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { labels, proxyContainerName } from '../shared/labels.ts'
import { containerOf, getFromPod, type PodObject, podsOf } from './pods-of.ts'

/** Metrics of one process. */
export interface ProcessMetrics {
  pod: string
  container: string
  /** In Prometheus' text format; empty with an error. */
  text: string
  error?: string
}

const adminPort = 4191

/** Labels that name parts of a system. */
const namingLabels = 'authority|client_id|server_id|target_addr|dst_service|dst_namespace'

/** Replaces names in metrics by the first 4 bytes of their SHA-256: the same name stays the same. */
export function obfuscate(text: string): string {
  const pattern = new RegExp(`\\b(${namingLabels})="((?:[^"\\\\]|\\\\.)*)"`, 'g')
  return text.replace(pattern, (_, label: string, value: string) => {
    const digest = createHash('sha256').update(value).digest('hex').slice(0, 8)
    return `${label}="${digest}"`
  })
}

/**
 * The metrics of the proxies of a resource, pod by pod. One that does not answer does not keep the others back.
 * @throws MeshError `MESH_RESOURCE_NOT_FOUND`, `MESH_DIAGNOSTICS_NOT_MESHED`
 */
export async function proxyMetrics(
  client: KubeClient,
  resource: string,
  namespace: string,
): Promise<ProcessMetrics[]> {
  const pods = await podsOf(client, resource, namespace)
  const meshed = pods.filter((pod) => containerOf(pod, proxyContainerName) !== undefined)
  if (meshed.length === 0) {
    throw new MeshError({
      code: 'MESH_DIAGNOSTICS_NOT_MESHED',
      kind: 'usage',
      message: `no pod of ${resource} has a proxy`,
      next: ['Mesh it: kubectl get RESOURCE -o yaml | mesh inject - | kubectl apply -f -'],
    })
  }
  const ports = meshed.map((pod) => {
    const port = containerOf(pod, proxyContainerName)?.ports?.find(({ name }) => name === 'linkerd-admin')
    return { pod, container: proxyContainerName, port: port?.containerPort ?? adminPort }
  })
  return await Promise.all(ports.map((target) => readMetrics(client, target)))
}

/** The metrics of every controller. */
export async function controllerMetrics(client: KubeClient, namespace: string): Promise<ProcessMetrics[]> {
  const { items } = await client.list<PodObject>(resources.pods, {
    namespace,
    labelSelector: labels.controlPlaneComponent,
  })
  const targets = items.flatMap((pod) =>
    (pod.spec?.containers ?? []).flatMap(({ name, ports = [] }) =>
      ports
        .filter((port) => name !== proxyContainerName && port.name?.endsWith('-admin') === true)
        .map(({ containerPort }) => ({ pod, container: name, port: containerPort })),
    ),
  )
  return await Promise.all(targets.map((target) => readMetrics(client, target)))
}

async function readMetrics(
  client: KubeClient,
  { pod, container, port }: { pod: PodObject; container: string; port: number },
): Promise<ProcessMetrics> {
  const named = { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, container }
  try {
    return { ...named, text: await getFromPod(client, pod, port, '/metrics') }
  } catch (thrown) {
    return { ...named, text: '', error: messageOf(thrown) }
  }
}

/** Metrics with a header for each process; comments, so that the whole is still Prometheus' format. */
export function metricsText(processes: readonly ProcessMetrics[]): string {
  return processes
    .map(({ pod, container, text, error }, index) => {
      const count = `(${index + 1} of ${processes.length})`
      const body = error === undefined ? text : `# ERROR ${error.replaceAll('\n', ' ')}\n`
      return `#\n# POD ${pod} ${count}\n# CONTAINER ${container}\n#\n${body.endsWith('\n') ? body : `${body}\n`}`
    })
    .join('')
}
