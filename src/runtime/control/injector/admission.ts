import type { ProxyContext, RenderedProxy } from '../../../templates/context.ts'
import type { KubeClient, KubeObject, Resource } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import { MeshError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import type { EventRecorder } from '../events.ts'
import type { AdmissionAnswer, AdmissionRequest } from '../webhook/serve.ts'
import { type Decision, decideInjection } from './decision.ts'
import type { InjectionMetrics } from './metrics.ts'
import { findOwner, type Owner } from './owner.ts'
import type { Pod, Service } from './pod.ts'
import { annotateService, type Facts, injectPod, type Outcome, passPod } from './reconcile.ts'
import type { InjectorState } from './state.ts'

export interface AdmissionDeps {
  kube: KubeClient
  clock: Clock
  logger: Logger
  state: InjectorState
  events: EventRecorder
  metrics: InjectionMetrics
  render: (context: ProxyContext) => RenderedProxy
}

/** How long the owner of a pod is looked for: the API server gives the whole webhook 10 s. */
const ownerTimeoutMs = 2_000

/** Answers one admission request. What goes wrong refuses the object, with the reason and its code. */
export async function admit(deps: AdmissionDeps, request: AdmissionRequest): Promise<AdmissionAnswer> {
  try {
    switch (request.kind.kind) {
      case 'Pod':
        return answerOf(await admitPod(deps, request))
      case 'Service':
        return answerOf(await admitService(deps, request))
      default:
        return { allowed: true }
    }
  } catch (thrown) {
    const error = MeshError.from(thrown)
    deps.logger.error({ code: error.code, reason: error.reason, err: error }, 'an object was refused')
    const reason = error.reason === undefined ? '' : `: ${error.reason}`
    return { allowed: false, message: `${error.message} (${error.code})${reason}` }
  }
}

async function admitPod(deps: AdmissionDeps, request: AdmissionRequest): Promise<Outcome> {
  const { metrics, state } = deps
  const pod = checkedPod(request)
  const namespace = request.namespace ?? pod.metadata.namespace ?? 'default'
  const namespaceAnnotations = await state.namespaceAnnotations(namespace)
  const decision = decideInjection(pod, namespaceAnnotations)
  const isUntouched = decision.kind === 'skip' && decision.reason === 'injection_enable_annotation_absent'
  const owner = isUntouched ? undefined : await ownerOf(deps, pod, namespace)
  const labels = {
    ownerKind: owner?.kind ?? pod.metadata.ownerReferences?.[0]?.kind ?? 'Pod',
    namespace,
    annotationAt: decision.annotationAt,
    present: Object.keys(pod.metadata.annotations ?? {}),
  }
  metrics.request(labels)
  const outcome =
    decision.kind === 'skip'
      ? passPod(pod, { namespaceAnnotations })
      : injectPod(pod, decision, factsOf(deps, namespace, namespaceAnnotations, owner))
  metrics.response(labels, decision.kind === 'skip' ? decision.reason : '')
  if (owner !== undefined && request.dryRun !== true) tell(deps, owner, namespace, decision, outcome)
  return outcome
}

async function admitService(deps: AdmissionDeps, request: AdmissionRequest): Promise<Outcome> {
  const service = request.object as Service
  if (typeof service?.metadata !== 'object') throw malformed('Service')
  const namespaceAnnotations = await deps.state.namespaceAnnotations(request.namespace ?? 'default')
  return annotateService(service, { namespaceAnnotations, values: deps.state.values() })
}

function factsOf(
  { state, render }: AdmissionDeps,
  namespace: string,
  namespaceAnnotations: Facts['namespaceAnnotations'],
  owner: Owner | undefined,
): Facts {
  return {
    namespace,
    namespaceAnnotations,
    owner,
    values: state.values(),
    anchorsPem: state.anchorsPem(),
    render,
  }
}

function tell(
  deps: AdmissionDeps,
  owner: Owner,
  namespace: string,
  decision: Decision,
  outcome: Outcome,
): void {
  const target = { ...owner, namespace }
  if (outcome.kind === 'refuse') deps.events.record(target, 'Warning', 'InjectionRefused', outcome.message)
  else if (decision.kind === 'inject') deps.events.record(target, 'Normal', 'Injected', 'The proxy was added')
  else {
    const message = `The proxy was not added: ${decision.reason}`
    deps.events.record(target, 'Normal', 'InjectionSkipped', message)
  }
}

async function ownerOf(deps: AdmissionDeps, pod: Pod, namespace: string): Promise<Owner | undefined> {
  const found = new AbortController()
  const tooLate = deps.clock.sleep(ownerTimeoutMs, found.signal).then(
    () => undefined,
    () => undefined,
  )
  const read = (resource: Resource, name: string) =>
    Promise.race([deps.kube.read<KubeObject>(resource, name, namespace).catch(() => undefined), tooLate])
  try {
    return await findOwner(pod, read)
  } finally {
    found.abort(new Error('found'))
  }
}

/** The API server has verified the object, but what stands here must not depend on that. */
function checkedPod(request: AdmissionRequest): Pod {
  const pod = request.object as Pod | null
  if (typeof pod?.metadata !== 'object' || !Array.isArray(pod.spec?.containers)) throw malformed('Pod')
  return pod
}

function malformed(kind: string): MeshError {
  return new MeshError({
    code: 'MESH_INJECTOR_REQUEST',
    kind: 'usage',
    message: `The review holds no ${kind}`,
    next: ['Is the webhook asked by an API server?'],
  })
}

function answerOf(outcome: Outcome): AdmissionAnswer {
  return outcome.kind === 'allow'
    ? { allowed: true, patch: outcome.patch, warnings: outcome.warnings }
    : { allowed: false, message: outcome.message }
}
