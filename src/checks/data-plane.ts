import { resources } from '../runtime/kube/resources.ts'
import type { KubeObject } from '../runtime/kube/types.ts'
import { annotations, configAnnotationPrefix } from '../runtime/shared/labels.ts'
import { fullName, hasEnded, type PodObject } from './shapes.ts'
import { type Category, type CheckContext, CheckFailure } from './types.ts'
import { isProxyReady, requireProxyVersion } from './versions.ts'

async function meshedPods(context: CheckContext): Promise<PodObject[]> {
  const pods = await context.cluster.meshedPods(context.controlPlaneNamespace, context.dataPlaneNamespace)
  return pods.filter((pod) => !hasEnded(pod))
}

/** Keys that mean something as annotations only, found among labels. */
function misplacedLabels(object: KubeObject): string[] {
  return Object.keys(object.metadata.labels ?? {}).filter(
    (key) =>
      key === annotations.inject ||
      (key.startsWith(configAnnotationPrefix) && key !== `${configAnnotationPrefix}admission-webhooks`),
  )
}

function requireNoMisplacedLabels(objects: readonly KubeObject[]): void {
  const found = objects.flatMap((object) =>
    misplacedLabels(object).map((key) => `${fullName(object)} has the label ${key}`),
  )
  if (found.length > 0) throw new CheckFailure(`these must be annotations: ${found.join(', ')}`)
}

const opaquePortsKey = `${configAnnotationPrefix}opaque-ports`

/** Pods and the Services that select them must agree about opaque ports. */
async function requireOpaqueAgreement(context: CheckContext): Promise<void> {
  const pods = await meshedPods(context)
  for (const service of await context.cluster.services()) {
    const selector = Object.entries(service.spec?.selector ?? {})
    const wanted = service.metadata.annotations?.[opaquePortsKey]
    if (selector.length === 0 || wanted === undefined) continue
    const differing = pods.find(
      (pod) =>
        pod.metadata.namespace === service.metadata.namespace &&
        selector.every(([key, value]) => pod.metadata.labels?.[key] === value) &&
        !coversPorts(pod.metadata.annotations?.[opaquePortsKey], wanted),
    )
    if (differing !== undefined) {
      throw new CheckFailure(
        `service ${fullName(service)} says opaque ports ${wanted}, pod ${fullName(differing)} ${differing.metadata.annotations?.[opaquePortsKey] ?? 'none'}`,
      )
    }
  }
}

/** Whether every item of a list of ports is in another. */
function coversPorts(have: string | undefined, wanted: string): boolean {
  const present = new Set((have ?? '').split(',').map((item) => item.trim()))
  return wanted.split(',').every((item) => present.has(item.trim()))
}

/** Whether the proxies of applications are well. */
export const dataPlane: Category = {
  id: 'linkerd-data-plane',
  checks: [
    {
      code: 'MESH_CHECK_DATA_PLANE_NAMESPACE',
      description: 'data plane namespace exists',
      anchor: 'l5d-data-plane-exists',
      isFatal: true,
      fix: 'kubectl get namespaces',
      run: async ({ cluster, dataPlaneNamespace }) => {
        if (dataPlaneNamespace === undefined) return
        if ((await cluster.read(resources.namespaces, dataPlaneNamespace)) === undefined) {
          throw new CheckFailure(`there is no namespace ${dataPlaneNamespace}`)
        }
      },
    },
    {
      code: 'MESH_CHECK_DATA_PLANE_PROXIES',
      description: 'data plane proxies are ready',
      anchor: 'l5d-data-plane-ready',
      isFatal: true,
      isRetried: true,
      fix: 'kubectl logs POD -c linkerd-proxy',
      run: async (context) => {
        const pods = await meshedPods(context)
        if (pods.length === 0) {
          const where = context.dataPlaneNamespace
          throw new CheckFailure(`no meshed pod was found${where === undefined ? '' : ` in ${where}`}`)
        }
        const sick = pods.filter((pod) => !isProxyReady(pod))
        if (sick.length > 0) {
          throw new CheckFailure(`the proxy is not ready in ${sick.map(fullName).join(', ')}`)
        }
      },
    },
    {
      code: 'MESH_CHECK_DATA_PLANE_VERSION',
      description: 'data plane and cli versions match',
      anchor: 'l5d-data-plane-cli-version',
      isWarning: true,
      fix: 'kubectl rollout restart the workloads named above',
      run: async (context) => requireProxyVersion(await meshedPods(context), context.cliVersion),
    },
    {
      code: 'MESH_CHECK_POD_LABELS',
      description: 'data plane pod labels are configured correctly',
      anchor: 'l5d-data-plane-pod-labels',
      isWarning: true,
      run: async (context) => requireNoMisplacedLabels(await meshedPods(context)),
    },
    {
      code: 'MESH_CHECK_SERVICE_LABELS',
      description: 'data plane service labels are configured correctly',
      anchor: 'l5d-data-plane-services-labels',
      isWarning: true,
      run: async ({ cluster }) => requireNoMisplacedLabels(await cluster.services()),
    },
    {
      code: 'MESH_CHECK_OPAQUE_PORTS',
      description: 'opaque ports are properly annotated',
      anchor: 'linkerd-opaque-ports-definition',
      isWarning: true,
      fix: 'Write the same config.linkerd.io/opaque-ports on the Service and on its pods.',
      run: requireOpaqueAgreement,
    },
  ],
}
