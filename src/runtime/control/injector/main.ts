import { renderProxy } from '../../../templates/render-proxy.ts'
import { resources } from '../../kube/resources.ts'
import type { ControllerDeps } from '../deps.ts'
import { EventRecorder } from '../events.ts'
import type { FlagDefinition } from '../flags.ts'
import { parseListenAddress } from '../server.ts'
import { keepCertificate, type WebhookNames } from '../webhook/certificate.ts'
import { startWebhookServer } from '../webhook/serve.ts'
import { admit } from './admission.ts'
import { InjectionMetrics } from './metrics.ts'
import { watchInjectorState } from './state.ts'

export const flags: Record<string, FlagDefinition> = {
  'listen-addr': { default: ':8443', description: 'Where the webhook is served' },
}

const webhookNames: WebhookNames = {
  service: 'linkerd-proxy-injector',
  secret: 'linkerd-proxy-injector-k8s-tls',
  configuration: {
    resource: resources.mutatingWebhookConfigurations,
    name: 'linkerd-proxy-injector-webhook-config',
  },
  component: 'proxy-injector',
}

/** The admission webhook that puts proxies into pods. */
export async function run(deps: ControllerDeps): Promise<void> {
  const injector = await startInjector(deps)
  await injector.stopped
}

/** A webhook that serves. */
export interface RunningInjector {
  address: { host: string; port: number }
  /** Resolves after the signal aborted and everything was closed. */
  stopped: Promise<void>
}

/** Starts to watch and to serve. It is ready once it has a certificate and knows the namespaces. */
export async function startInjector(deps: ControllerDeps): Promise<RunningInjector> {
  const { kube, clock, signal, logger } = deps
  const namespace = deps.flags.controllerNamespace
  const isStateReady = deps.ready('namespaces and configuration')
  const isCertificateReady = deps.ready('certificate')
  const onError = (error: unknown) => logger.warn({ err: error }, 'watch')
  const state = watchInjectorState({ kube, controlPlaneNamespace: namespace, clock, signal, onError })
  void state.synced.then(
    () => isStateReady.ready(),
    () => {},
  )
  const events = new EventRecorder({
    kube,
    clock,
    component: 'linkerd-proxy-injector',
    onError: (error) => logger.debug({ err: error }, 'an Event was not written'),
  })
  const metrics = new InjectionMetrics(deps.metrics)
  const admission = { kube, clock, logger, state, events, metrics, render: renderProxy }
  const server = await startWebhookServer(
    parseListenAddress(deps.options['listen-addr'] ?? ':8443'),
    (request) => admit(admission, request),
  )
  logger.info({ address: server.address }, 'serving the webhook')
  const keeping = keepCertificate({
    kube,
    names: webhookNames,
    namespace,
    clock,
    signal,
    logger,
    use: (certificate) => {
      server.setCertificate(certificate)
      isCertificateReady.ready()
    },
  })
  return { address: server.address, stopped: keeping.then(() => server.close()) }
}
