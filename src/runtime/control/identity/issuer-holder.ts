import { createHash } from 'node:crypto'
import { Gauge } from 'prom-client'
import { MeshError } from '../../shared/errors.ts'
import type { ControllerDeps } from '../deps.ts'
import { EventRecorder, type EventTarget } from '../events.ts'
import { type Issuer, readIssuer } from './reconcile.ts'
import type { IdentityState } from './state.ts'

/** The issuer in use: the newest that was valid when it was read. */
export class IssuerHolder {
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

  reload(state: Pick<IdentityState, 'issuerPair' | 'rootsPem'>): void {
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
