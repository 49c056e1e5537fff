import { resources } from '../../kube/resources.ts'
import type { KubeClient, KubeObject } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Logger } from '../../shared/logger.ts'
import { timestamp } from '../cluster.ts'

interface EventObject extends KubeObject {
  involvedObject: Record<string, string>
  reason: string
  message: string
  type: 'Normal' | 'Warning'
  count: number
  firstTimestamp: string
  lastTimestamp: string
  source: { component: string; host?: string }
  reportingComponent: string
  reportingInstance: string
}

/** What an event is about. */
export interface EventSubject {
  kind: string
  apiVersion: string
  object: KubeObject
  /** Such as `spec.containers{web}`. */
  fieldPath?: string
}

/** Two events with the same text within this time are one, counted twice. */
const mergeMs = 600_000

/** Writes Events. They are a courtesy: a failure to write one is logged and no more. */
export class EventRecorder {
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #component: string
  readonly #recent = new Map<string, { name: string; count: number; atMs: number }>()
  #sequence = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(parts: { client: KubeClient; clock: Clock; logger: Logger }, component: string) {
    this.#client = parts.client
    this.#clock = parts.clock
    this.#logger = parts.logger
    this.#component = component
  }

  normal(subject: EventSubject, reason: string, message: string): void {
    this.#record(subject, 'Normal', reason, message)
  }

  warning(subject: EventSubject, reason: string, message: string): void {
    this.#record(subject, 'Warning', reason, message)
  }

  #record(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const write = () => this.#write(subject, type, reason, message)
    // One after another, so that they keep their order.
    this.#writing = this.#writing.then(write).catch((error: unknown) => {
      this.#logger.debug({ reason: messageOf(error) }, 'an event was not written')
    })
  }

  async #write(
    subject: EventSubject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): Promise<void> {
    const { metadata } = subject.object
    const namespace = metadata.namespace ?? 'default'
    const nowMs = this.#clock.nowMs()
    const now = timestamp(nowMs)
    const key = [metadata.uid, subject.fieldPath, type, reason, message].join('|')
    const recent = this.#recent.get(key)
    if (recent !== undefined && nowMs - recent.atMs < mergeMs) {
      recent.count += 1
      recent.atMs = nowMs
      const patch = { count: recent.count, lastTimestamp: now }
      await this.#client.mergePatch(resources.events, recent.name, patch, { namespace })
      return
    }
    const name = `${metadata.name}.${nowMs.toString(16)}${(this.#sequence++).toString(16).padStart(4, '0')}`
    this.#forgetOld(nowMs)
    this.#recent.set(key, { name, count: 1, atMs: nowMs })
    await this.#client.create(
      resources.events,
      this.#event(subject, { name, namespace, type, reason, message, now }),
    )
  }

  #event(
    { object, kind, apiVersion, fieldPath }: EventSubject,
    facts: {
      name: string
      namespace: string
      type: 'Normal' | 'Warning'
      reason: string
      message: string
      now: string
    },
  ): EventObject {
    const { name, namespace, type, reason, message, now } = facts
    const { uid = '', resourceVersion = '' } = object.metadata
    const involved = { kind, apiVersion, name: object.metadata.name, namespace, uid, resourceVersion }
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: fieldPath === undefined ? involved : { ...involved, fieldPath },
      reason,
      message,
      type,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: '',
    }
  }

  #forgetOld(nowMs: number): void {
    for (const [key, { atMs }] of this.#recent) if (nowMs - atMs >= mergeMs) this.#recent.delete(key)
  }
}
