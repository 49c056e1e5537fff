import { createHash } from 'node:crypto'
import { Code } from '@connectrpc/connect'
import { Counter, Gauge } from 'prom-client'
import { resources } from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { MeshError } from '../../shared/errors.ts'
import type { ControllerDeps } from '../deps.ts'
import { durationMsOf, parseDurationMs } from '../duration.ts'
import { EventRecorder, type EventTarget } from '../events.ts'
import type { FlagDefinition } from '../flags.ts'
import { startGrpcServer } from '../grpc.ts'
import { parseListenAddress } from '../server.ts'
import { type Issuer, readIssuer } from './reconcile.ts'
import { renewIssuer } from './renewal.ts'
import { identityRoutes } from './serve.ts'
import { type IdentityState, watchIdentityState } from './state.ts'

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
}

const renewalPeriodMs = 3_600_000
const retryPeriodMs = 5_000

/** The certificate authority of the mesh. */
export async function run(deps: ControllerDeps): Promise<void> {
  const holder = new IssuerHolder(deps)
  const isIssuerReady = deps.ready('issuer')
  const mayReview = deps.ready('token review')
  const onError = (error: unknown) => deps.logger.warn({ err: error }, 'watch')
  const state = watchIdentityState(
    deps.kube,
    deps.flags.controllerNamespace,
    deps.clock,
    deps.signal,
    onError,
  )
  const reload = () => {
    holder.reload(state)
    if (holder.current === undefined) isIssuerReady.notReady(holder.problem)
    else isIssuerReady.ready()
  }
  state.onChange(reload)
  void state.synced.then(reload, () => {})
  const { metrics, clock } = deps
  const certificates = outcomeCounter(deps)
  const server = await startGrpcServer({
    address: parseListenAddress(deps.options['listen-addr'] ?? ':8080'),
    metrics,
    clock,
    routes: identityRoutes({
      kube: deps.kube,
      clock,
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
    }),
  })
  deps.logger.info({ address: server.address }, 'serving gRPC')
  await Promise.all([
    untilAllowedToReview(deps).then(
      () => mayReview.ready(),
      (error: unknown) => mayReview.notReady(MeshError.from(error).message),
    ),
    keepRenewed(deps, holder, state),
  ])
  await server.close()
}

/** The issuer in use: the newest that was valid when it was read. */
class IssuerHolder {
  current: Issuer | undefined
  problem = 'the issuer was not read yet'
  readonly #deps: ControllerDeps
  readonly #events: EventRecorder
  #source = ''

  constructor(deps: ControllerDeps) {
    this.#deps = deps
    this.#events = new EventRecorder({
      kube: deps.kube,
      clock: deps.clock,
      component: 'linkerd-identity',
      onError: (error) => deps.logger.debug({ err: error }, 'an Event was not written'),
    })
    this.#registerMetrics()
  }

  reload(state: IdentityState): void {
    const pair = state.issuerPair()
    const rootsPem = state.rootsPem()
    if (pair === undefined || rootsPem === undefined) {
      this.problem = pair === undefined ? 'the issuer is missing' : 'the trust anchors are missing'
      if (this.current !== undefined) this.#tell('Warning', 'IssuerUpdateSkipped', this.problem)
      return
    }
    const source = `${pair.certificatePem}\n${pair.privateKeyPem}\n${rootsPem}`
    if (source === this.#source) return
    try {
      const isFirst = this.current === undefined
      this.current = readIssuer(pair, rootsPem, this.#deps.clock.nowMs())
      this.#source = source
      const until = new Date(this.current.notAfterMs).toISOString()
      this.#deps.logger.info({ issuer: this.current.certificate.commonName, until }, 'issuer in use')
      if (!isFirst)
        this.#tell('Normal', 'IssuerUpdated', `The issuer was replaced; it is valid until ${until}`)
    } catch (thrown) {
      const error = MeshError.from(thrown)
      this.problem = error.reason ?? error.message
      this.#deps.logger.error({ code: error.code, reason: error.reason }, error.message)
      this.#tell('Warning', 'IssuerValidationFailed', `${error.message}: ${error.reason ?? ''}`)
    }
  }

  recordIssued(
    account: { namespace: string; name: string },
    identity: string,
    leaf: Uint8Array,
    notAfterMs: number,
  ): void {
    const hash = createHash('sha256').update(leaf).digest('hex')
    const until = new Date(notAfterMs).toISOString()
    this.#deps.logger.debug({ identity, until, hash }, 'issued')
    const target = { apiVersion: 'v1', kind: 'ServiceAccount', ...account }
    const message = `Issued the certificate of ${identity}, valid until ${until}, SHA-256 ${hash}`
    this.#events.record(target, 'Normal', 'IssuedLeafCertificate', message)
  }

  warnOfExpiry(): void {
    if (this.current === undefined) return
    const until = new Date(this.current.notAfterMs).toISOString()
    this.#deps.logger.warn({ until }, 'the issuer nears its end and its anchor is kept elsewhere: renew it')
    this.#tell(
      'Warning',
      'IssuerExpiresSoon',
      `The issuer is valid until ${until}; renew Secret linkerd-identity-issuer`,
    )
  }

  #tell(type: 'Normal' | 'Warning', reason: string, message: string): void {
    const target: EventTarget = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'linkerd-identity',
      namespace: this.#deps.flags.controllerNamespace,
    }
    this.#events.record(target, type, reason, message)
  }

  #registerMetrics(): void {
    const secondsTo = (atMs: number | undefined) =>
      atMs === undefined ? 0 : (atMs - this.#deps.clock.nowMs()) / 1000
    const holder = this
    new Gauge({
      name: 'issuer_cert_ttl_seconds',
      help: 'Seconds until the issuer, or what it stands under, expires',
      registers: [this.#deps.metrics],
      collect() {
        this.set(secondsTo(holder.current?.notAfterMs))
      },
    })
    new Gauge({
      name: 'mesh_identity_trust_anchor_ttl_seconds',
      help: 'Seconds until the trust anchor in use expires',
      registers: [this.#deps.metrics],
      collect() {
        this.set(secondsTo(holder.current?.anchor.notAfterMs))
      },
    })
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
