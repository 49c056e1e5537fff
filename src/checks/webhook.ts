import { resources } from '../runtime/kube/resources.ts'
import { KubeError, type KubeObject } from '../runtime/kube/types.ts'
import { type Certificate, parseCertificates } from '../runtime/pki/certificate.ts'
import { verifyChain } from '../runtime/pki/chain.ts'
import { messageOf } from '../runtime/shared/errors.ts'
import { annotations, proxyContainerName } from '../runtime/shared/labels.ts'
import { containersOf, type PodObject, type SecretObject } from './shapes.ts'
import { type Category, type CheckContext, CheckFailure, CheckSkip } from './types.ts'

interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig?: { caBundle?: string } }[]
}

const secretName = 'linkerd-proxy-injector-k8s-tls'
const fix = 'kubectl -n linkerd logs deploy/linkerd-proxy-injector -c proxy-injector'

async function authorities({ cluster }: CheckContext): Promise<Certificate[]> {
  const configuration = await cluster.read<WebhookConfiguration>(
    resources.mutatingWebhookConfigurations,
    'linkerd-proxy-injector-webhook-config',
  )
  const [webhook, ...others] = configuration?.webhooks ?? []
  if (webhook === undefined || others.length > 0) {
    throw new CheckFailure('the webhook configuration must hold one webhook')
  }
  const bundle = webhook.clientConfig?.caBundle
  if (!bundle) throw new CheckFailure('the webhook configuration has no caBundle yet; the injector writes it')
  return parseCertificates(Buffer.from(bundle, 'base64').toString('utf8'))
}

async function servingChain({ cluster, controlPlaneNamespace }: CheckContext): Promise<Certificate[]> {
  const secret = await cluster.read<SecretObject>(resources.secrets, secretName, controlPlaneNamespace)
  const encoded = secret?.data?.['tls.crt'] ?? secret?.data?.['crt.pem']
  if (encoded === undefined) {
    throw new CheckFailure(`the Secret ${controlPlaneNamespace}/${secretName} has no tls.crt`)
  }
  return parseCertificates(Buffer.from(encoded, 'base64').toString('utf8'))
}

/** A pod that exists for the length of one question: it is never stored. */
function probePod(controlPlaneNamespace: string): PodObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'mesh-check-injection',
      namespace: 'default',
      annotations: { [annotations.inject]: 'enabled' },
      labels: { 'app.kubernetes.io/part-of': `mesh-check-${controlPlaneNamespace}` },
    },
    spec: { containers: [{ name: 'app', image: 'mesh-check.invalid/app' }] },
  }
}

/** Whether the API server can reach the injector, and trusts it. */
export const webhook: Category = {
  id: 'linkerd-webhooks-and-apisvc-tls',
  checks: [
    {
      code: 'MESH_CHECK_WEBHOOK_CERTIFICATE',
      description: 'proxy-injector webhook has valid cert',
      anchor: 'l5d-proxy-injector-webhook-cert-valid',
      isFatal: true,
      isRetried: true,
      fix,
      run: async (context) => {
        const chain = await servingChain(context)
        verifyChain(chain, await authorities(context), context.clock.nowMs())
        const expected = `linkerd-proxy-injector.${context.controlPlaneNamespace}.svc`
        if (chain[0]?.names.dnsNames.includes(expected) !== true) {
          throw new CheckFailure(`the certificate is not for ${expected}`)
        }
      },
    },
    {
      code: 'MESH_CHECK_WEBHOOK_EXPIRY',
      description: 'proxy-injector cert is valid for at least 60 days',
      anchor: 'l5d-proxy-injector-webhook-cert-not-expiring-soon',
      isWarning: true,
      fix,
      run: async (context) => {
        const [certificate] = await servingChain(context)
        const days = Math.floor(((certificate?.notAfterMs ?? 0) - context.clock.nowMs()) / 86_400_000)
        if (days < 60) throw new CheckFailure(`it expires in ${days} days`)
      },
    },
    {
      code: 'MESH_CHECK_WEBHOOK_INJECTS',
      description: 'proxy-injector webhook injects a pod',
      isRetried: true,
      fix,
      run: async ({ cluster, controlPlaneNamespace }) => {
        const pod = await createDry(cluster.client, probePod(controlPlaneNamespace))
        if (!containersOf(pod).some(({ name }) => name === proxyContainerName)) {
          throw new CheckFailure('a pod that asks for a proxy would get none')
        }
      },
    },
  ],
}

/** Asks the API server what it would store; the right to create pods may be missing. */
async function createDry(client: CheckContext['cluster']['client'], pod: PodObject): Promise<PodObject> {
  try {
    return await client.create<PodObject>(resources.pods, pod, { dryRun: true })
  } catch (thrown) {
    if (thrown instanceof KubeError && thrown.status === 403) {
      throw new CheckSkip(`cannot be asked: ${messageOf(thrown)}`)
    }
    throw thrown
  }
}
