import { History } from '../../../src/runtime/control/viz/history.ts'
import { type PodObject, readVizPod, type VizPod } from '../../../src/runtime/control/viz/pod.ts'
import { keptFamilies, type Target } from '../../../src/runtime/control/viz/state.ts'

/** A pod of a Deployment, as the API server gives it. */
export function podObject(
  name: string,
  options: {
    namespace?: string
    deployment?: string
    meshed?: boolean
    labels?: Record<string, string>
  } = {},
): PodObject {
  const { namespace = 'shop', deployment = 'web', meshed = true } = options
  return {
    metadata: {
      name,
      namespace,
      uid: `${namespace}/${name}`,
      labels: {
        'pod-template-hash': 'abc12',
        ...(meshed ? { 'linkerd.io/control-plane-ns': 'linkerd' } : {}),
        ...options.labels,
      },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${deployment}-abc12`,
          uid: 'u',
          controller: true,
        },
      ],
    },
    spec: {
      serviceAccountName: deployment,
      containers: [{ name: 'app' }],
      initContainers: meshed
        ? [{ name: 'linkerd-proxy', ports: [{ name: 'linkerd-admin', containerPort: 4191 }] }]
        : [],
    },
    status: { phase: 'Running', podIP: '10.244.0.7' },
  }
}

/** A target whose proxy was scraped at these times. */
export function scraped(pod: VizPod | PodObject, scrapes: Record<number, string>): Target {
  const history = new History((name) => keptFamilies.has(name))
  for (const [atMs, text] of Object.entries(scrapes)) history.record(Number(atMs), text)
  return { pod: 'uid' in pod ? pod : readVizPod(pod), history, isGone: false }
}

/** Lines of one proxy: `labels` go on each. */
export function traffic(
  labels: string,
  numbers: { success?: number; failure?: number; buckets?: Record<string, number> },
): string {
  const lines = [
    `response_total{${labels},classification="success",status_code="200"} ${numbers.success ?? 0}`,
    `response_total{${labels},classification="failure",status_code="500"} ${numbers.failure ?? 0}`,
    ...Object.entries(numbers.buckets ?? {}).map(
      ([le, count]) => `response_latency_ms_bucket{${labels},le="${le}"} ${count}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}

export function tcp(labels: string, numbers: { open?: number; read?: number; write?: number }): string {
  return [
    `tcp_open_connections{${labels}} ${numbers.open ?? 0}`,
    `tcp_read_bytes_total{${labels}} ${numbers.read ?? 0}`,
    `tcp_write_bytes_total{${labels}} ${numbers.write ?? 0}\n`,
  ].join('\n')
}
