import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ClusterView } from '../../src/checks/cluster-view.ts'
import { allChecks, type CheckScope, categoriesOf } from '../../src/checks/registry.ts'
import { runChecks } from '../../src/checks/run.ts'
import type { ConfigMapObject, PodObject, SecretObject } from '../../src/checks/shapes.ts'
import type { CheckResult } from '../../src/checks/types.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import { KubeError, type KubeObject } from '../../src/runtime/kube/types.ts'
import { createIssuer, createTrustAnchor } from '../../src/runtime/pki/authority.ts'
import { meshVersion } from '../../src/runtime/shared/version.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type InstalledCluster, installedCluster } from '../support/installed-cluster.ts'

const test = suite('checks')
const nowMs = Date.UTC(2026, 0, 15)
const dayMs = 86_400_000

async function resultsOf(cluster: InstalledCluster, scope: CheckScope): Promise<CheckResult[]> {
  return await runChecks(
    categoriesOf(scope),
    {
      cluster: new ClusterView(() => cluster.client),
      controlPlaneNamespace: 'linkerd',
      cliVersion: meshVersion,
      clock: new FakeClock(nowMs),
    },
    { waitMs: 0 },
  )
}

const scopes: CheckScope[] = ['crds', 'control-plane', 'proxy']

for (const scope of scopes) {
  test(`an installed cluster is well: ${scope}`, async () => {
    const results = await resultsOf(await installedCluster(nowMs), scope)
    assert.equal(
      results.filter(({ outcome }) => outcome === 'error' || outcome === 'warning'),
      [],
    )
    assert.ok(results.some(({ outcome }) => outcome === 'success'))
  })
}

test('an empty cluster is ready for an installation', async () => {
  const cluster = await installedCluster(nowMs)
  await cluster.kube.remove(resources.namespaces, 'linkerd')
  const results = await resultsOf(cluster, 'pre')
  assert.equal(
    results.filter(({ outcome }) => outcome === 'error' || outcome === 'warning'),
    [],
  )
})

/** Puts certificates there whose times are given. */
async function useCertificates(
  cluster: InstalledCluster,
  times: { anchorEndMs?: number; issuerEndMs?: number; sameAnchor?: boolean },
): Promise<void> {
  const validity = (endMs: number | undefined) => ({
    notBeforeMs: nowMs - 400 * dayMs,
    notAfterMs: endMs ?? nowMs + 365 * dayMs,
  })
  const anchor = createTrustAnchor('root', validity(times.anchorEndMs))
  const signer = times.sameAnchor === false ? createTrustAnchor('other', validity(undefined)) : anchor
  const issuer = createIssuer(signer, 'issuer', validity(times.issuerEndMs))
  await cluster.edit<ConfigMapObject>(
    resources.configMaps,
    'linkerd-identity-trust-roots',
    (roots) => {
      roots.data = { 'ca-bundle.crt': anchor.certificate.toPem() }
    },
    'linkerd',
  )
  await cluster.edit<SecretObject>(
    resources.secrets,
    'linkerd-identity-issuer',
    (secret) => {
      secret.data = { 'tls.crt': Buffer.from(issuer.certificate.toPem()).toString('base64') }
    },
    'linkerd',
  )
}

const editPod = (cluster: InstalledCluster, name: string, change: (pod: PodObject) => void) =>
  cluster.edit<PodObject>(resources.pods, name, change, name.startsWith('web') ? 'shop' : 'linkerd')

function unready(pod: PodObject): void {
  pod.status = {
    conditions: [{ type: 'Ready', status: 'False' }],
    initContainerStatuses: [
      { name: 'linkerd-proxy', ready: false, state: { waiting: { reason: 'CrashLoopBackOff' } } },
    ],
  }
}

/** What breaks each check. A check that is not here is never shown red. */
const breakages: Record<string, { scope: CheckScope; breaks: (cluster: InstalledCluster) => unknown }> = {
  MESH_CHECK_KUBE_CLIENT: {
    scope: 'pre',
    breaks: (cluster) => {
      Object.defineProperty(cluster, 'client', {
        get: () => {
          throw new Error('no kubeconfig')
        },
      })
    },
  },
  MESH_CHECK_KUBE_API: {
    scope: 'pre',
    breaks: ({ kube }) => {
      kube.onRaw = () => ({ status: 503, headers: {}, body: '' })
    },
  },
  MESH_CHECK_KUBE_VERSION: {
    scope: 'pre',
    breaks: (cluster) => {
      cluster.version = { major: '1', minor: '28+' }
    },
  },
  MESH_CHECK_GATEWAY_API: {
    scope: 'pre',
    breaks: ({ kube }) =>
      kube.put(resources.customResourceDefinitions, {
        metadata: { name: 'httproutes.gateway.networking.k8s.io' },
        spec: {
          group: 'gateway.networking.k8s.io',
          names: { plural: 'httproutes' },
          versions: [{ name: 'v1beta1', served: true }],
        },
      } as KubeObject),
  },
  MESH_CHECK_PRE_NAMESPACE: { scope: 'pre', breaks: () => undefined },
  MESH_CHECK_CREATE_CLUSTER_WIDE: { scope: 'pre', breaks: deny('create clusterroles') },
  MESH_CHECK_CREATE_SERVICE_ACCOUNTS: { scope: 'pre', breaks: deny('create serviceaccounts') },
  MESH_CHECK_CREATE_SERVICES: { scope: 'pre', breaks: deny('create services') },
  MESH_CHECK_CREATE_DEPLOYMENTS: { scope: 'pre', breaks: deny('create deployments') },
  MESH_CHECK_CREATE_CONFIG_MAPS: { scope: 'pre', breaks: deny('create configmaps') },
  MESH_CHECK_CREATE_SECRETS: { scope: 'pre', breaks: deny('create secrets') },
  MESH_CHECK_READ_SECRETS: { scope: 'pre', breaks: deny('get secrets') },
  MESH_CHECK_CLOCK_SKEW: {
    scope: 'pre',
    breaks: (cluster) => {
      cluster.serverTimeMs = nowMs - 300_000
    },
  },
  MESH_CHECK_CRDS: {
    scope: 'crds',
    breaks: ({ kube }) => kube.remove(resources.customResourceDefinitions, 'servers.policy.linkerd.io'),
  },
  MESH_CHECK_CONFIG: {
    scope: 'control-plane',
    breaks: ({ kube }) => kube.remove(resources.configMaps, 'linkerd-config', 'linkerd'),
  },
  MESH_CHECK_REPLICA_SETS: {
    scope: 'control-plane',
    breaks: ({ kube }) =>
      kube.put(resources.replicaSets, {
        metadata: { name: 'rs', namespace: 'linkerd' },
        status: { conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'quota' }] },
      } as KubeObject),
  },
  MESH_CHECK_UNSCHEDULABLE: {
    scope: 'control-plane',
    breaks: (cluster) =>
      editPod(cluster, 'linkerd-identity-1', (pod) => {
        pod.status = {
          ...pod.status,
          conditions: [
            { type: 'Ready', status: 'True' },
            { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' },
          ],
        }
      }),
  },
  MESH_CHECK_PODS_READY: {
    scope: 'control-plane',
    breaks: (cluster) => editPod(cluster, 'linkerd-destination-1', unready),
  },
  MESH_CHECK_NODE_NETWORKS: {
    scope: 'control-plane',
    breaks: ({ kube }) =>
      kube.put(resources.nodes, {
        metadata: { name: 'far' },
        spec: { podCIDR: '203.0.113.0/24' },
      } as KubeObject),
  },
  MESH_CHECK_POD_NETWORKS: {
    scope: 'control-plane',
    breaks: (cluster) =>
      editPod(cluster, 'web-1', (pod) => {
        pod.status = { ...pod.status, podIPs: [{ ip: '203.0.113.9' }] }
      }),
  },
  MESH_CHECK_SERVICE_NETWORKS: {
    scope: 'control-plane',
    breaks: ({ kube }) =>
      kube.put(resources.services, {
        metadata: { name: 'far', namespace: 'shop' },
        spec: { clusterIP: '203.0.113.1' },
      } as KubeObject),
  },
  MESH_CHECK_NAMESPACE: {
    scope: 'control-plane',
    breaks: ({ kube }) => kube.remove(resources.namespaces, 'linkerd'),
  },
  MESH_CHECK_CLUSTER_ROLES: {
    scope: 'control-plane',
    breaks: ({ kube }) => kube.remove(resources.clusterRoles, 'linkerd-linkerd-identity'),
  },
  MESH_CHECK_CLUSTER_ROLE_BINDINGS: {
    scope: 'control-plane',
    breaks: ({ kube }) => kube.remove(resources.clusterRoleBindings, 'linkerd-linkerd-destination'),
  },
  MESH_CHECK_SERVICE_ACCOUNTS: {
    scope: 'control-plane',
    breaks: ({ kube }) => kube.remove(resources.serviceAccounts, 'linkerd-identity', 'linkerd'),
  },
  MESH_CHECK_WEBHOOK_CONFIGURATIONS: {
    scope: 'control-plane',
    breaks: ({ kube }) =>
      kube.remove(resources.mutatingWebhookConfigurations, 'linkerd-proxy-injector-webhook-config'),
  },
  MESH_CHECK_CERTIFICATES: {
    scope: 'control-plane',
    breaks: ({ kube }) => kube.remove(resources.secrets, 'linkerd-identity-issuer', 'linkerd'),
  },
  MESH_CHECK_ANCHOR_VALIDITY: {
    scope: 'control-plane',
    breaks: (cluster) => useCertificates(cluster, { anchorEndMs: nowMs - dayMs }),
  },
  MESH_CHECK_ANCHOR_EXPIRY: {
    scope: 'control-plane',
    breaks: (cluster) => useCertificates(cluster, { anchorEndMs: nowMs + 59 * dayMs }),
  },
  MESH_CHECK_ISSUER_VALIDITY: {
    scope: 'control-plane',
    breaks: (cluster) => useCertificates(cluster, { issuerEndMs: nowMs - dayMs }),
  },
  MESH_CHECK_ISSUER_EXPIRY: {
    scope: 'control-plane',
    breaks: (cluster) => useCertificates(cluster, { issuerEndMs: nowMs + 59 * dayMs }),
  },
  MESH_CHECK_ISSUER_CHAIN: {
    scope: 'control-plane',
    breaks: (cluster) => useCertificates(cluster, { sameAnchor: false }),
  },
  MESH_CHECK_ANCHOR_KEY: {
    scope: 'control-plane',
    breaks: (cluster) => useForeignKey(cluster, 'anchor'),
  },
  MESH_CHECK_ISSUER_KEY: {
    scope: 'control-plane',
    breaks: (cluster) => useForeignKey(cluster, 'issuer'),
  },
  MESH_CHECK_WEBHOOK_CERTIFICATE: {
    scope: 'control-plane',
    breaks: (cluster) =>
      cluster.edit<KubeObject & { webhooks: { name: string; clientConfig: object }[] }>(
        resources.mutatingWebhookConfigurations,
        'linkerd-proxy-injector-webhook-config',
        (configuration) => {
          configuration.webhooks = [{ name: 'w', clientConfig: {} }]
        },
      ),
  },
  MESH_CHECK_WEBHOOK_INJECTS: {
    scope: 'control-plane',
    breaks: (cluster) => {
      cluster.inject = (pod) => pod
    },
  },
  MESH_CHECK_PROXY_ANCHORS: {
    scope: 'proxy',
    breaks: (cluster) =>
      editPod(cluster, 'web-1', (pod) => {
        pod.spec.initContainers = [
          {
            name: 'linkerd-proxy',
            image: `p:${meshVersion}`,
            env: [{ name: 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS', value: 'another' }],
          },
        ]
      }),
  },
  MESH_CHECK_CONTROL_PLANE_VERSION: {
    scope: 'control-plane',
    breaks: (cluster) => setVersion(cluster, undefined),
  },
  MESH_CHECK_VERSION_MATCH: { scope: 'control-plane', breaks: (cluster) => setVersion(cluster, '0.0.1') },
  MESH_CHECK_CONTROL_PLANE_PROXIES: {
    scope: 'control-plane',
    breaks: (cluster) =>
      editPod(cluster, 'linkerd-identity-1', (pod) => {
        pod.status = {
          ...pod.status,
          initContainerStatuses: [{ name: 'linkerd-proxy', ready: false }],
        }
      }),
  },
  MESH_CHECK_CONTROL_PLANE_PROXY_VERSION: {
    scope: 'control-plane',
    breaks: (cluster) => setProxyImage(cluster, 'linkerd-identity-1'),
  },
  MESH_CHECK_DATA_PLANE_PROXIES: { scope: 'proxy', breaks: (cluster) => editPod(cluster, 'web-1', unready) },
  MESH_CHECK_DATA_PLANE_VERSION: { scope: 'proxy', breaks: (cluster) => setProxyImage(cluster, 'web-1') },
  MESH_CHECK_POD_LABELS: {
    scope: 'proxy',
    breaks: (cluster) =>
      editPod(cluster, 'web-1', (pod) => {
        pod.metadata.labels = { ...pod.metadata.labels, 'linkerd.io/inject': 'enabled' }
      }),
  },
  MESH_CHECK_SERVICE_LABELS: {
    scope: 'proxy',
    breaks: ({ kube }) =>
      kube.put(resources.services, {
        metadata: { name: 's', namespace: 'shop', labels: { 'config.linkerd.io/opaque-ports': '25' } },
      }),
  },
  MESH_CHECK_OPAQUE_PORTS: {
    scope: 'proxy',
    breaks: ({ kube }) =>
      kube.put(resources.services, {
        metadata: { name: 's', namespace: 'shop', annotations: { 'config.linkerd.io/opaque-ports': '25' } },
        spec: { selector: { app: 'web' } },
      } as KubeObject),
  },
  MESH_CHECK_REPLICAS: {
    scope: 'control-plane',
    breaks: (cluster) =>
      cluster.edit<ConfigMapObject>(
        resources.configMaps,
        'linkerd-config',
        (config) => {
          config.data = {
            ...config.data,
            values: (config.data?.values ?? '').replace('highAvailability: false', 'highAvailability: true'),
          }
        },
        'linkerd',
      ),
  },
  MESH_CHECK_EXTENSION_NAMESPACES: {
    scope: 'control-plane',
    breaks: ({ kube }) =>
      kube.put(
        resources.namespaces,
        { metadata: { name: 'viz-a', labels: { 'linkerd.io/extension': 'viz' } } },
        { metadata: { name: 'viz-b', labels: { 'linkerd.io/extension': 'viz' } } },
      ),
  },
}

/** Why a check is not among the breakages. */
const shownElsewhere = new Set(['MESH_CHECK_DATA_PLANE_NAMESPACE', 'MESH_CHECK_WEBHOOK_EXPIRY'])

function deny(what: string): (cluster: InstalledCluster) => void {
  return (cluster) => void cluster.denied.add(what)
}

function setVersion(cluster: InstalledCluster, version: string | undefined): Promise<void> {
  return cluster.edit<ConfigMapObject>(
    resources.configMaps,
    'linkerd-config',
    (config) => {
      const { version: _, ...rest } = config.data ?? {}
      config.data = version === undefined ? rest : { ...rest, version }
    },
    'linkerd',
  )
}

function setProxyImage(cluster: InstalledCluster, name: string): Promise<void> {
  return editPod(cluster, name, (pod) => {
    pod.spec.initContainers = [{ name: 'linkerd-proxy', image: 'registry:5000/proxy:0.0.1' }]
  })
}

/** A P-384 certificate, made by openssl: mesh itself never makes one. */
const foreignPem = `-----BEGIN CERTIFICATE-----
MIIBtzCCAT6gAwIBAgIUfZYJefAZsxRi4QJVVb0wbejHr/0wCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHZm9yZWlnbjAgFw0yNjExMjMxNTQ3MzBaGA8yMTI2MTAzMDE1
NDczMFowEjEQMA4GA1UEAwwHZm9yZWlnbjB2MBAGByqGSM49AgEGBSuBBAAiA2IA
BE/P0q6OD3gMnFpXRnbAUQHbRZwiqcI6bDbWk9uDsL9L92EOxPC5QDvwbFvNPSxm
Uxs54xEGaJ8BqaQuY/nCG2DGKg3uzCAlIwQE+/ja8glKO4FlehWALAffUPGevYlK
UqNTMFEwHQYDVR0OBBYEFE3OQZ/UrfW9FDZ9ffqr3DPVk2mnMB8GA1UdIwQYMBaA
FE3OQZ/UrfW9FDZ9ffqr3DPVk2mnMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0E
AwIDZwAwZAIwcIdlUVWr/iV2WY1CGVHS4urMmbs2M377u4/EUxlksifoVB1HCkhd
px567ra9FErkAjBWNV10KQNkMTH9ts8zWcgKMXzFVe367fLi/TeJdxan3Xx192Fc
UsudsBzj9TeQz7o=
-----END CERTIFICATE-----
`

async function useForeignKey(cluster: InstalledCluster, which: 'anchor' | 'issuer'): Promise<void> {
  if (which === 'anchor') {
    await cluster.edit<ConfigMapObject>(
      resources.configMaps,
      'linkerd-identity-trust-roots',
      (roots) => {
        roots.data = { 'ca-bundle.crt': foreignPem }
      },
      'linkerd',
    )
  } else {
    await cluster.edit<SecretObject>(
      resources.secrets,
      'linkerd-identity-issuer',
      (secret) => {
        secret.data = { 'tls.crt': Buffer.from(foreignPem).toString('base64') }
      },
      'linkerd',
    )
  }
}

for (const [code, { scope, breaks }] of Object.entries(breakages)) {
  test(`${code} turns red`, async () => {
    const cluster = await installedCluster(nowMs)
    await breaks(cluster)
    const result = (await resultsOf(cluster, scope)).find(({ check }) => check.code === code)
    assert.ok(result !== undefined, 'it did not run')
    assert.is(result.outcome, result.check.isWarning === true ? 'warning' : 'error')
    assert.ok((result.reason ?? '').length > 0)
  })
}

test('every check is shown red by a test', () => {
  const codes = new Set(allChecks().map(({ check }) => check.code))
  const missing = [...codes].filter((code) => breakages[code] === undefined && !shownElsewhere.has(code))
  assert.equal(missing, [])
})

test('codes and descriptions of a scope are each there once', () => {
  for (const scope of ['pre', ...scopes] as CheckScope[]) {
    const checks = categoriesOf(scope).flatMap(({ checks: own }) => own)
    assert.is(new Set(checks.map(({ code }) => code)).size, checks.length, scope)
  }
})

test('a namespace that does not exist ends the data-plane checks', async () => {
  const cluster = await installedCluster(nowMs)
  const results = await runChecks(
    categoriesOf('proxy'),
    {
      cluster: new ClusterView(() => cluster.client),
      controlPlaneNamespace: 'linkerd',
      dataPlaneNamespace: 'nowhere',
      cliVersion: meshVersion,
      clock: new FakeClock(nowMs),
    },
    { waitMs: 0 },
  )
  assert.is(results.at(-1)?.check.code, 'MESH_CHECK_DATA_PLANE_NAMESPACE')
  assert.is(results.at(-1)?.outcome, 'error')
})

test('a serving certificate that ends soon is a warning', async () => {
  const cluster = await installedCluster(nowMs - 340 * dayMs)
  const results = await resultsOf(cluster, 'control-plane')
  const result = results.find(({ check }) => check.code === 'MESH_CHECK_WEBHOOK_EXPIRY')
  assert.is(result?.outcome, 'warning')
})

test('a right that the checks do not have is named, not thrown', async () => {
  const cluster = await installedCluster(nowMs)
  cluster.kube.onCall = (verb, resource) => {
    if (resource.plural === 'secrets') throw new KubeError(403, 'Forbidden', `cannot ${verb} secrets`)
  }
  const results = await resultsOf(cluster, 'control-plane')
  const last = results.at(-1)
  assert.is(last?.check.code, 'MESH_CHECK_CERTIFICATES')
  assert.match(last?.reason ?? '', /cannot get secrets/)
})

test.run()
