import { labels, proxyContainerName } from '../runtime/shared/labels.ts'
import { controlPlanePods, installedConfig } from './control-plane.ts'
import { containerStatusesOf, containersOf, fullName, hasEnded, type PodObject } from './shapes.ts'
import { type Category, type CheckContext, CheckFailure, CheckSkip } from './types.ts'

const upgradeFix = 'mesh upgrade | kubectl apply -f -'

/** Tag of the proxy's image. */
export function proxyVersionOf(pod: PodObject): string | undefined {
  const image = containersOf(pod).find(({ name }) => name === proxyContainerName)?.image
  return image === undefined ? undefined : /:([^:/@]+)(?:@.*)?$/.exec(image)?.[1]
}

/** Whether the container of the proxy is ready. */
export function isProxyReady(pod: PodObject): boolean {
  return containerStatusesOf(pod).some(({ name, ready }) => name === proxyContainerName && ready)
}

/** Fails with the pods whose proxy is of another version than this program. */
export function requireProxyVersion(pods: readonly PodObject[], version: string): void {
  const others = pods.filter((pod) => {
    const found = proxyVersionOf(pod)
    return found !== undefined && found !== version
  })
  if (others.length === 0) return
  const names = others.map((pod) => `${fullName(pod)} (${proxyVersionOf(pod)})`)
  throw new CheckFailure(`proxies are not of version ${version}: ${names.join(', ')}`)
}

export const controlPlaneVersion: Category = {
  id: 'control-plane-version',
  checks: [
    {
      code: 'MESH_CHECK_CONTROL_PLANE_VERSION',
      description: 'can retrieve the control plane version',
      anchor: 'l5d-version-control',
      isFatal: true,
      isRetried: true,
      fix: upgradeFix,
      run: async (context) => {
        if ((await installedConfig(context)).version === undefined) {
          throw new CheckFailure('the ConfigMap linkerd-config has no key version')
        }
      },
    },
    {
      code: 'MESH_CHECK_VERSION_MATCH',
      description: 'control plane and cli versions match',
      anchor: 'l5d-version-control',
      isWarning: true,
      fix: upgradeFix,
      run: async (context) => {
        const { version } = await installedConfig(context)
        if (version !== context.cliVersion) {
          throw new CheckFailure(`the control plane is ${version}, this program is ${context.cliVersion}`)
        }
      },
    },
  ],
}

export const controlPlaneProxies: Category = {
  id: 'linkerd-control-plane-proxy',
  checks: [
    {
      code: 'MESH_CHECK_CONTROL_PLANE_PROXIES',
      description: 'control plane proxies are healthy',
      anchor: 'l5d-cp-proxy-healthy',
      isFatal: true,
      isRetried: true,
      fix: 'kubectl -n linkerd logs deploy/linkerd-destination -c linkerd-proxy',
      run: async (context) => {
        const sick = (await controlPlanePods(context)).filter((pod) => !isProxyReady(pod))
        if (sick.length > 0) {
          throw new CheckFailure(`the proxy is not ready in ${sick.map(fullName).join(', ')}`)
        }
      },
    },
    {
      code: 'MESH_CHECK_CONTROL_PLANE_PROXY_VERSION',
      description: 'control plane proxies and cli versions match',
      anchor: 'l5d-cp-proxy-cli-version',
      isWarning: true,
      fix: upgradeFix,
      run: async (context) => requireProxyVersion(await controlPlanePods(context), context.cliVersion),
    },
  ],
}

/** Availability that was asked for must be there. */
export const highAvailability: Category = {
  id: 'linkerd-ha-checks',
  checks: [
    {
      code: 'MESH_CHECK_REPLICAS',
      description: 'multiple replicas of control plane pods',
      anchor: 'l5d-control-plane-replicas',
      isWarning: true,
      isRetried: true,
      fix: 'kubectl -n linkerd get deployments',
      run: async (context: CheckContext) => {
        if (!(await installedConfig(context)).highAvailability) {
          throw new CheckSkip('high availability is not asked for')
        }
        const pods = (await controlPlanePods(context)).filter((pod) => !hasEnded(pod) && isProxyReady(pod))
        for (const component of ['destination', 'identity', 'proxy-injector']) {
          const count = pods.filter(
            (pod) => pod.metadata.labels?.[labels.controlPlaneComponent] === component,
          ).length
          if (count < 2) throw new CheckFailure(`${component} has ${count} ready replicas`)
        }
      },
    },
  ],
}
