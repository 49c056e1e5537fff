import { resolveValues } from '../../src/runtime/actions/resolve-values.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeClient, KubeObject, Resource } from '../../src/runtime/kube/types.ts'
import { createIssuer, createTrustAnchor } from '../../src/runtime/pki/authority.ts'
import { createServingCertificate } from '../../src/runtime/pki/serving-certificate.ts'
import { renderControlPlane, renderCrds } from '../../src/templates/control-plane.ts'
import type { RenderedObject } from '../../src/templates/render.ts'
import type { Values } from '../../src/templates/values.ts'
import { FakeKube } from './fake-kube.ts'

const dayMs = 86_400_000

/** A cluster where mesh is installed and well, and one meshed application runs. */
export interface InstalledCluster {
  kube: FakeKube
  /** What checks ask: {@link kube}, with access reviews, dry runs and `/version` answered. */
  client: KubeClient
  values: Values
  /** `verb resource` that the current user may not. */
  denied: Set<string>
  /** What the injector does with a pod. */
  inject: (pod: KubeObject) => KubeObject
  version: { major: string; minor: string }
  /** The `Date` header of the API server; the given now when absent. */
  serverTimeMs: number
  /** Changes one object. */
  edit<T extends KubeObject>(
    resource: Resource,
    name: string,
    change: (object: T) => void,
    namespace?: string,
  ): Promise<void>
}

const clusterWide = new Set([
  'Namespace',
  'ClusterRole',
  'ClusterRoleBinding',
  'CustomResourceDefinition',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
])

const byKind = new Map<string, Resource>(
  Object.values(resources).map((resource) => [resource.kind, resource]),
)

/** Rendered once: it is the same for all. */
let rendered: RenderedObject[] | undefined

/** @param nowMs what certificates are valid around */
export async function installedCluster(nowMs: number): Promise<InstalledCluster> {
  const kube = new FakeKube()
  const values = await resolveValues({}, async () => '')
  rendered ??= [...renderCrds(values), ...renderControlPlane(values)]
  for (const object of rendered) putRendered(kube, structuredClone(object))
  putCertificates(kube, nowMs)
  for (const component of ['identity', 'destination', 'proxy-injector']) {
    kube.put(resources.pods, pod('linkerd', `linkerd-${component}-1`, '10.244.0.2', values, component))
  }
  kube.put(resources.namespaces, { metadata: { name: 'shop' } })
  kube.put(resources.pods, pod('shop', 'web-1', '10.244.0.9', values))
  kube.put(resources.nodes, { metadata: { name: 'node' }, spec: { podCIDR: '10.244.0.0/16' } } as KubeObject)
  const cluster: InstalledCluster = {
    kube,
    values,
    client: kube,
    denied: new Set(),
    inject: (created) => withProxy(created),
    version: { major: '1', minor: '33' },
    serverTimeMs: nowMs,
    async edit(resource, name, change, namespace) {
      const object = await kube.read(resource, name, namespace)
      if (object === undefined) throw new Error(`no ${resource.plural} ${name}`)
      change(object as never)
      kube.put(resource, object)
    },
  }
  cluster.client = answering(cluster)
  return cluster
}

function putRendered(kube: FakeKube, object: RenderedObject): void {
  const resource = byKind.get(object.kind)
  if (resource === undefined) return
  const { namespace, ...metadata } = object.metadata
  const placed = clusterWide.has(object.kind) ? metadata : object.metadata
  kube.put(resource, { ...object, metadata: placed } as KubeObject)
}

function putCertificates(kube: FakeKube, nowMs: number): void {
  const validity = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + 365 * dayMs }
  const anchor = createTrustAnchor('root.linkerd.cluster.local', validity)
  const issuer = createIssuer(anchor, 'identity.linkerd.cluster.local', validity)
  const serving = createServingCertificate('linkerd-proxy-injector', 'linkerd', validity)
  const encode = (text: string) => Buffer.from(text).toString('base64')
  kube.put(resources.configMaps, {
    metadata: { name: 'linkerd-identity-trust-roots', namespace: 'linkerd' },
    data: { 'ca-bundle.crt': anchor.certificate.toPem() },
  } as KubeObject)
  kube.put(
    resources.secrets,
    {
      metadata: { name: 'linkerd-identity-issuer', namespace: 'linkerd' },
      data: { 'tls.crt': encode(issuer.certificate.toPem()) },
    } as KubeObject,
    {
      metadata: { name: 'linkerd-proxy-injector-k8s-tls', namespace: 'linkerd' },
      data: { 'tls.crt': encode(serving.certificatePem) },
    } as KubeObject,
  )
  kube.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: 'linkerd-proxy-injector-webhook-config' },
    webhooks: [{ name: 'w', clientConfig: { caBundle: encode(serving.authorityPem) } }],
  } as KubeObject)
}

function pod(namespace: string, name: string, ip: string, values: Values, component?: string): KubeObject {
  const image = `${values.proxy.image.name}:${values.proxy.image.version}`
  return {
    metadata: {
      name,
      namespace,
      labels: {
        'linkerd.io/control-plane-ns': 'linkerd',
        ...(component === undefined ? { app: 'web' } : { 'linkerd.io/control-plane-component': component }),
      },
    },
    spec: {
      containers: [{ name: 'app', image: 'app' }],
      initContainers: [{ name: 'linkerd-proxy', image }],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status: 'True' }],
      initContainerStatuses: [{ name: 'linkerd-proxy', ready: true }],
    },
  } as KubeObject
}

function withProxy(created: KubeObject): KubeObject {
  const injected = structuredClone(created) as KubeObject & { spec: { initContainers?: { name: string }[] } }
  injected.spec.initContainers = [{ name: 'linkerd-init' }, { name: 'linkerd-proxy' }]
  return injected
}

function answering(cluster: InstalledCluster): KubeClient {
  const { kube } = cluster
  kube.onRaw = ({ path }) =>
    path === '/version'
      ? {
          status: 200,
          headers: { date: new Date(cluster.serverTimeMs).toUTCString() },
          body: JSON.stringify(cluster.version),
        }
      : { status: 404, headers: {}, body: '' }
  const create: KubeClient['create'] = async (resource, object, options) => {
    if (resource === resources.selfSubjectAccessReviews) {
      const { spec } = object as unknown as {
        spec: { resourceAttributes: { verb: string; resource: string } }
      }
      const { verb, resource: plural } = spec.resourceAttributes
      return { ...object, status: { allowed: !cluster.denied.has(`${verb} ${plural}`) } }
    }
    if (resource === resources.pods && options?.dryRun === true)
      return cluster.inject(object) as typeof object
    return await kube.create(resource, object, options)
  }
  return new Proxy<KubeClient>(kube, {
    get: (target, name) => {
      if (name === 'create') return create
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
