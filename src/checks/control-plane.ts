import { parse } from 'yaml'
import { resources } from '../runtime/kube/resources.ts'
import { labels } from '../runtime/shared/labels.ts'
import { networkList } from './cidr.ts'
import {
  type ConfigMapObject,
  type CrdObject,
  fullName,
  hasEnded,
  isReady,
  type PodObject,
} from './shapes.ts'
import { type Category, type Check, type CheckContext, CheckFailure, CheckSkip } from './types.ts'

/** What checks need of the values of the installation; see `Values` in `src/templates/values.ts`. */
export interface InstalledConfig {
  /** Version of the mesh that was installed. */
  version: string | undefined
  clusterNetworks: string
  highAvailability: boolean
}

/** The installation's own record of what was installed. */
export async function installedConfig({
  cluster,
  controlPlaneNamespace,
}: CheckContext): Promise<InstalledConfig> {
  const config = await cluster.read<ConfigMapObject>(
    resources.configMaps,
    'linkerd-config',
    controlPlaneNamespace,
  )
  if (config === undefined) {
    throw new CheckFailure(`the ConfigMap ${controlPlaneNamespace}/linkerd-config is missing`)
  }
  const values = parse(config.data?.values ?? '') as {
    clusterNetworks?: string
    highAvailability?: boolean
  } | null
  if (typeof values?.clusterNetworks !== 'string') {
    throw new CheckFailure(`the ConfigMap ${controlPlaneNamespace}/linkerd-config has no usable key values`)
  }
  return {
    version: config.data?.version,
    clusterNetworks: values.clusterNetworks,
    highAvailability: values.highAvailability === true,
  }
}

/** The kinds of mesh, and the version of each that its controllers watch. */
const customResources: Readonly<Record<string, string>> = {
  'authorizationpolicies.policy.linkerd.io': 'v1alpha1',
  'egressnetworks.policy.linkerd.io': 'v1alpha1',
  'externalworkloads.workload.linkerd.io': 'v1beta1',
  'httplocalratelimitpolicies.policy.linkerd.io': 'v1alpha1',
  'httproutes.policy.linkerd.io': 'v1beta3',
  'meshtlsauthentications.policy.linkerd.io': 'v1alpha1',
  'networkauthentications.policy.linkerd.io': 'v1alpha1',
  'serverauthorizations.policy.linkerd.io': 'v1beta1',
  'servers.policy.linkerd.io': 'v1beta3',
  'serviceprofiles.linkerd.io': 'v1alpha2',
  'trafficsplits.split.smi-spec.io': 'v1alpha2',
}

const customResourcesExist: Check = {
  code: 'MESH_CHECK_CRDS',
  description: 'control plane CustomResourceDefinitions exist',
  anchor: 'l5d-existence-crd',
  isFatal: true,
  isRetried: true,
  fix: 'mesh install --crds | kubectl apply -f -',
  run: async ({ cluster }) => {
    const crds = await cluster.list<CrdObject>(resources.customResourceDefinitions)
    for (const [name, version] of Object.entries(customResources)) {
      const crd = crds.find((candidate) => candidate.metadata.name === name)
      if (crd === undefined) throw new CheckFailure(`missing ${name}`)
      if (!crd.spec.versions.some((served) => served.name === version && served.served)) {
        throw new CheckFailure(`${name} does not serve ${version}`)
      }
    }
  },
}

export const crds: Category = { id: 'linkerd-crd', checks: [customResourcesExist] }

/** The controllers of the control plane, by the label on their pods. */
export const components = ['destination', 'identity', 'proxy-injector'] as const

/** Pods of the control plane that have not ended. */
export async function controlPlanePods({
  cluster,
  controlPlaneNamespace,
}: CheckContext): Promise<PodObject[]> {
  const pods = await cluster.pods({ namespace: controlPlaneNamespace })
  return pods.filter(
    (pod) =>
      !hasEnded(pod) &&
      pod.metadata.deletionTimestamp === undefined &&
      pod.metadata.labels?.[labels.controlPlaneComponent] !== undefined,
  )
}

function networksContain(what: string, addressesOf: (context: CheckContext) => Promise<Map<string, string>>) {
  return async (context: CheckContext) => {
    const { clusterNetworks } = await installedConfig(context)
    const networks = networkList(clusterNetworks)
    for (const [address, owner] of await addressesOf(context)) {
      if (!networks.includes(address)) {
        throw new CheckFailure(
          `${what} ${owner} has ${address}, outside clusterNetworks (${clusterNetworks})`,
        )
      }
    }
  }
}

const networkFix = 'mesh upgrade --set clusterNetworks=CIDR\\,CIDR | kubectl apply -f -'

async function nodeNetworks({ cluster }: CheckContext): Promise<Map<string, string>> {
  const nodes = await cluster.nodes()
  const found = nodes.flatMap((node) =>
    (node.spec?.podCIDRs ?? [node.spec?.podCIDR ?? '']).filter(Boolean).map((cidr) => {
      return [cidr.split('/')[0] ?? '', node.metadata.name] as const
    }),
  )
  if (found.length === 0) throw new CheckSkip('nodes do not say which addresses their pods have')
  return new Map(found)
}

async function podAddresses({ cluster }: CheckContext): Promise<Map<string, string>> {
  const pods = (await cluster.pods()).filter((pod) => pod.spec.hostNetwork !== true && !hasEnded(pod))
  return new Map(
    pods.flatMap((pod) => (pod.status?.podIPs ?? []).map(({ ip }) => [ip, fullName(pod)] as const)),
  )
}

async function serviceAddresses({ cluster }: CheckContext): Promise<Map<string, string>> {
  const services = await cluster.services()
  return new Map(
    services.flatMap((service) =>
      (service.spec?.clusterIPs ?? [service.spec?.clusterIP ?? ''])
        .filter((ip) => ip !== '' && ip !== 'None')
        .map((ip) => [ip, fullName(service)] as const),
    ),
  )
}

export const existence: Category = {
  id: 'linkerd-existence',
  checks: [
    {
      code: 'MESH_CHECK_CONFIG',
      description: "'linkerd-config' config map exists",
      anchor: 'l5d-existence-linkerd-config',
      isFatal: true,
      fix: 'mesh install | kubectl apply -f -',
      run: async (context) => {
        await installedConfig(context)
      },
    },
    {
      code: 'MESH_CHECK_REPLICA_SETS',
      description: 'control plane replica sets are ready',
      anchor: 'l5d-existence-replicasets',
      isFatal: true,
      isRetried: true,
      fix: 'kubectl -n linkerd describe replicaset',
      run: async ({ cluster, controlPlaneNamespace }) => {
        for (const set of await cluster.replicaSets(controlPlaneNamespace)) {
          const failure = set.status?.conditions?.find(
            ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
          )
          if (failure !== undefined) {
            throw new CheckFailure(`${set.metadata.name}: ${failure.message ?? failure.reason ?? 'failed'}`)
          }
        }
      },
    },
    {
      code: 'MESH_CHECK_UNSCHEDULABLE',
      description: 'no unschedulable pods',
      anchor: 'l5d-existence-unschedulable-pods',
      isWarning: true,
      isRetried: true,
      fix: 'kubectl -n linkerd describe pods',
      run: async (context) => {
        for (const pod of await controlPlanePods(context)) {
          const condition = pod.status?.conditions?.find(({ reason }) => reason === 'Unschedulable')
          if (condition !== undefined) {
            throw new CheckFailure(`${pod.metadata.name}: ${condition.message ?? 'unschedulable'}`)
          }
        }
      },
    },
    {
      code: 'MESH_CHECK_PODS_READY',
      description: 'control plane pods are ready',
      anchor: 'l5d-api-control-ready',
      isFatal: true,
      isRetried: true,
      fix: 'kubectl -n linkerd get pods',
      run: async (context) => {
        const pods = await controlPlanePods(context)
        for (const component of components) {
          const own = pods.filter((pod) => pod.metadata.labels?.[labels.controlPlaneComponent] === component)
          if (own.length === 0) throw new CheckFailure(`there is no pod of ${component}`)
          if (!own.some(isReady))
            throw new CheckFailure(`no pod of ${component} is ready: ${whyNotReady(own)}`)
        }
      },
    },
    {
      code: 'MESH_CHECK_NODE_NETWORKS',
      description: 'cluster networks contains all node podCIDRs',
      anchor: 'l5d-cluster-networks-cidr',
      fix: networkFix,
      run: networksContain('node', nodeNetworks),
    },
    {
      code: 'MESH_CHECK_POD_NETWORKS',
      description: 'cluster networks contains all pods',
      anchor: 'l5d-cluster-networks-pods',
      fix: networkFix,
      run: networksContain('pod', podAddresses),
    },
    {
      code: 'MESH_CHECK_SERVICE_NETWORKS',
      description: 'cluster networks contains all services',
      anchor: 'l5d-cluster-networks-pods',
      fix: networkFix,
      run: networksContain('service', serviceAddresses),
    },
  ],
}

/** What the containers of pods that are not ready say about themselves. */
function whyNotReady(pods: readonly PodObject[]): string {
  const reasons = pods.flatMap((pod) =>
    [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
      .filter(({ ready, state }) => !ready && state?.terminated?.reason !== 'Completed')
      .map(({ name, state }) => {
        const what = state?.waiting?.reason ?? state?.terminated?.reason ?? 'not ready'
        return `${pod.metadata.name}/${name} ${what}`
      }),
  )
  return reasons.length === 0 ? 'its containers have not started' : reasons.join(', ')
}
