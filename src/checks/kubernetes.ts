import { resources } from '../runtime/kube/resources.ts'
import type { CrdObject } from './shapes.ts'
import { type Category, CheckFailure, CheckSkip } from './types.ts'

/** Native sidecars are on by default from here on. */
const minimumMinor = 29

/** Whether the API can be reached at all. */
export const kubernetesApi: Category = {
  id: 'kubernetes-api',
  checks: [
    {
      code: 'MESH_CHECK_KUBE_CLIENT',
      description: 'can initialize the client',
      anchor: 'k8s-api',
      isFatal: true,
      fix: 'kubectl config current-context',
      run: async ({ cluster }) => {
        void cluster.client.server
      },
    },
    {
      code: 'MESH_CHECK_KUBE_API',
      description: 'can query the Kubernetes API',
      anchor: 'k8s-api',
      isFatal: true,
      fix: 'kubectl cluster-info',
      run: async ({ cluster }) => {
        await cluster.get('/version')
      },
    },
  ],
}

export const kubernetesVersion: Category = {
  id: 'kubernetes-version',
  checks: [
    {
      code: 'MESH_CHECK_KUBE_VERSION',
      description: 'is running the minimum Kubernetes API version',
      anchor: 'k8s-version',
      fix: `Upgrade the cluster to Kubernetes 1.${minimumMinor} or later.`,
      run: async ({ cluster }) => {
        const version = JSON.parse((await cluster.get('/version')).body) as { major: string; minor: string }
        const minor = Number.parseInt(version.minor, 10)
        if (Number.parseInt(version.major, 10) > 1 || minor >= minimumMinor) return
        throw new CheckFailure(
          `Kubernetes is ${version.major}.${version.minor}; native sidecars need 1.${minimumMinor}`,
        )
      },
    },
  ],
}

/** The Gateway API is used when it is there; nothing needs it. */
export const gatewayApi: Category = {
  id: 'gateway-api-crd',
  checks: [
    {
      code: 'MESH_CHECK_GATEWAY_API',
      description: 'Gateway API CRDs are usable',
      anchor: 'gateway-api-crd',
      fix: 'mesh install --crds --set installGatewayAPI=true | kubectl apply -f -',
      run: async ({ cluster }) => {
        const crds = await cluster.list<CrdObject>(resources.customResourceDefinitions)
        const present = crds.filter(({ spec }) => spec.group === 'gateway.networking.k8s.io')
        if (present.length === 0) throw new CheckSkip('the Gateway API is not installed')
        for (const plural of ['httproutes', 'grpcroutes']) {
          const crd = present.find(({ spec }) => spec.names.plural === plural)
          if (crd === undefined) throw new CheckFailure(`${plural}.gateway.networking.k8s.io is missing`)
          if (!crd.spec.versions.some(({ name, served }) => name === 'v1' && served)) {
            throw new CheckFailure(`${crd.metadata.name} does not serve v1`)
          }
        }
      },
    },
  ],
}
