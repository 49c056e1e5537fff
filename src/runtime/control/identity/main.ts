import { randomUUID } from 'node:crypto'
import { Code } from '@connectrpc/connect'
import { Counter } from 'prom-client'
import { resources } from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { MeshError } from '../../shared/errors.ts'
import type { ControllerDeps } from '../deps.ts'
import { durationMsOf, parseDurationMs } from '../duration.ts'
import type { FlagDefinition } from '../flags.ts'
import { startGrpcServer } from '../grpc.ts'
import { parseListenAddress } from '../server.ts'
import { IssuerHolder } from './issuer-holder.ts'
import { leadRotation, reportAcknowledgements } from './lead.ts'
import { renewIssuer } from './renewal.ts'
import type { RotationOptions } from './rotate.ts'
import { identityRoutes } from './serve.ts'
import { trustRoutes } from './serve-trust.ts'
import { type IdentityState, watchIdentityState } from './state.ts'
import { TrustHub } from './trust-hub.ts'

const durationProblem = (value: string) =>
  durationMsOf(value) === undefined ? 'it is no duration such as 24h' : undefined

export const flags: Record<string, FlagDefinition> = {
  'listen-addr': { default: ':8080', description: 'Where gRPC is served' },
  'identity-issuance-lifetime': {
    default: '24h',
    description: 'How long the certificate of a proxy is valid',
    problem: durationProblem,
  },
  'identity-clock-skew-allowance': {
    default: '20s',
    description: 'By how much the clocks of nodes may differ',
    problem: durationProblem,
  },
  'identity-rotation-grace': {
    default: '720h',
    description: 'How long a proxy that does not acknowledge a new trust anchor holds up its rotation',
    problem: durationProblem,
  },
}

const renewalPeriodMs = 3_600_000
const retryPeriodMs = 5_000

/** The certificate authority of the mesh. */
export async function run(deps: ControllerDeps): Promise<void> {
  const identity = await startIdentity(deps)
  await identity.stopped
}

/** A certificate authority that serves. */
export interface RunningIdentity {
  address: { host: string; port: number }
  /** Resolves after the signal aborted and everything was closed. */
  stopped: Promise<void>
}

/** Starts to watch and to serve; until an issuer is there, callers are told to come again. */
export async function startIdentity(deps: ControllerDeps): Promise<RunningIdentity> {
  const holder = new IssuerHolder(deps)
  const hub = new TrustHub()
  const state = watchIssuer(deps, holder, hub)
  const server = await startGrpcServer({
    address: parseListenAddress(deps.options['listen-addr'] ?? ':8080'),
    metrics: deps.metrics,
    clock: deps.clock,
    routes: (router) => {
      certifyRoutes(deps, holder)(router)
      trustRoutes(deps.kube, hub)(router)
    },
  })
  deps.logger.info({ address: server.address }, 'serving gRPC')
  const rotation = rotationOptions(deps)
  const work = Promise.all([
    markReviewsAllowed(deps),
    keepRenewed(deps, holder, state),
    leadRotation(deps, state, rotation),
    reportAcknowledgements(deps, { state, holder, hub, replica: rotation.replica }),
  ])
  return { address: server.address, stopped: work.then(() => server.close()) }
}

/** Keeps the holder at the issuer that stands in the cluster. */
function watchIssuer(deps: ControllerDeps, holder: IssuerHolder, hub: TrustHub): IdentityState {
  const guard = deps.ready('issuer')
  const state = watchIdentityState(
    deps.kube,
    deps.flags.controllerNamespace,
    deps.clock,
    deps.signal,
    (error) => deps.logger.warn({ err: error }, 'watch'),
  )
  const reload = () => {
    holder.reload(state)
    reloadBundle(deps, state, hub)
    if (holder.current === undefined) guard.notReady(holder.problem)
    else guard.ready()
  }
  state.onChange(reload)
  void state.synced.then(reload, () => {})
  return state
}

/** A bundle that cannot be read is not handed out: the last one stays. */
function reloadBundle(deps: ControllerDeps, state: IdentityState, hub: TrustHub): void {
  const pem = state.rootsPem()
  if (pem === undefined || pem.trim() === '') return
  try {
    hub.setBundle(pem)
  } catch (error) {
    deps.logger.error({ err: error }, 'the bundle of trust anchors cannot be read')
  }
}

function rotationOptions(deps: ControllerDeps): RotationOptions {
  const { kube, clock, options } = deps
  const lifetimeMs = parseDurationMs(options['identity-issuance-lifetime'] ?? '24h')
  const clockSkewMs = parseDurationMs(options['identity-clock-skew-allowance'] ?? '20s')
  return {
    kube,
    clock,
    namespace: deps.flags.controllerNamespace,
    trustDomain: deps.flags.identityTrustDomain,
    replica: deps.env('POD_NAME') ?? randomUUID(),
    settings: {
      graceMs: parseDurationMs(options['identity-rotation-grace'] ?? '720h'),
      // A pod is admitted and known, and every watch has told of the bundle, well within it.
      settleMs: clockSkewMs,
      leafMs: lifetimeMs + clockSkewMs,
    },
  }
}

function certifyRoutes(deps: ControllerDeps, holder: IssuerHolder): ReturnType<typeof identityRoutes> {
  const certificates = outcomeCounter(deps)
  return identityRoutes({
    kube: deps.kube,
    clock: deps.clock,
    controlPlaneNamespace: deps.flags.controllerNamespace,
    trustDomain: deps.flags.identityTrustDomain,
    lifetimeMs: parseDurationMs(deps.options['identity-issuance-lifetime'] ?? '24h'),
    clockSkewMs: parseDurationMs(deps.options['identity-clock-skew-allowance'] ?? '20s'),
    issuer: () => holder.current,
    onIssued: (account, identity, leaf, notAfterMs) => {
      certificates.inc({ outcome: 'issued' })
      holder.recordIssued(account, identity, leaf, notAfterMs)
    },
    onRefused: (identity, code, reason) => {
      certificates.inc({ outcome: Code[code] })
      deps.logger.warn({ identity, code: Code[code], reason }, 'no certificate was issued')
    },
  })
}

async function markReviewsAllowed(deps: ControllerDeps): Promise<void> {
  const guard = deps.ready('token review')
  try {
    await untilAllowedToReview(deps)
    guard.ready()
  } catch (error) {
    guard.notReady(MeshError.from(error).message)
  }
}

function outcomeCounter(deps: ControllerDeps): Counter<'outcome'> {
  return new Counter({
    name: 'mesh_identity_certificates_total',
    help: 'Requests for certificates by what came of them: issued, or the gRPC code',
    labelNames: ['outcome'],
    registers: [deps.metrics],
  })
}

/** Looks after the issuer until the process stops. */
async function keepRenewed(deps: ControllerDeps, holder: IssuerHolder, state: IdentityState): Promise<void> {
  const { kube, clock, signal, logger } = deps
  const { controllerNamespace: namespace, identityTrustDomain: trustDomain } = deps.flags
  while (!signal.aborted) {
    let waitMs = retryPeriodMs
    const issuer = holder.current
    if (issuer !== undefined) {
      try {
        const outcome = await renewIssuer(
          { kube, clock, namespace, trustDomain },
          issuer,
          state.rootsPem() ?? '',
        )
        if (outcome === 'renewed') logger.info('the issuer was renewed')
        if (outcome === 'anchor-key-not-here') holder.warnOfExpiry()
        waitMs = renewalPeriodMs
      } catch (error) {
        logger.warn({ err: error }, 'the issuer could not be renewed')
      }
    }
    await clock.sleep(waitMs, signal).catch(() => {})
  }
}

interface AccessReview extends KubeObject {
  spec: object
  status?: { allowed?: boolean; reason?: string }
}

/** Resolves once the API says that tokens may be reviewed; without that no certificate can be issued. */
async function untilAllowedToReview(deps: ControllerDeps): Promise<void> {
  const attributes = {
    group: 'authentication.k8s.io',
    version: 'v1',
    resource: 'tokenreviews',
    verb: 'create',
  }
  for (;;) {
    try {
      const review = await deps.kube.create<AccessReview>(resources.selfSubjectAccessReviews, {
        metadata: {} as AccessReview['metadata'],
        spec: { resourceAttributes: attributes },
      })
      if (review.status?.allowed === true) return
      deps.logger.error(
        { code: 'MESH_IDENTITY_RBAC', reason: review.status?.reason },
        'linkerd-identity may not create TokenReviews: its ClusterRole is missing or was changed',
      )
    } catch (error) {
      deps.logger.warn({ err: error }, 'cannot ask for permissions')
    }
    await deps.clock.sleep(retryPeriodMs, deps.signal)
  }
}
