import { randomUUID } from 'node:crypto'
import { resources } from '../../../kube/resources.ts'
import { messageOf } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/logger.ts'
import { jsonEqual, objectsAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import { apiVersionOf, type KindDefinition } from '../registry/definition.ts'
import type { Registry } from '../registry/registry.ts'
import { internalError, StatusError } from '../status.ts'
import type { Store } from '../store.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'
import { conditionsHold } from './match-conditions.ts'
import { callWebhook, type Dial, type WebhookResponse, webhookUrl } from './webhook-call.ts'
import { matchWebhook, type Webhook } from './webhook-match.ts'

export interface WebhookParts {
  store: Store
  registry: Registry
  dial: Dial
  logger: Logger
}

/** A webhook that is to be called, and the version of the kind that it wants to see. */
interface Match {
  webhook: Webhook
  definition: KindDefinition
}

function inVersion(object: StoredObject | undefined, definition: KindDefinition): StoredObject | undefined {
  return (
    object && { ...object, apiVersion: apiVersionOf(definition.resource), kind: definition.resource.kind }
  )
}

function kindOf({ resource: { group, version, kind } }: KindDefinition): Record<string, string> {
  return { group, version, kind }
}

function resourceOf({ resource: { group, version, plural } }: KindDefinition): Record<string, string> {
  return { group, version, resource: plural }
}

/** The AdmissionReview of a request, `admission.k8s.io/v1`. */
export function admissionReview(request: AdmissionRequest, seen: KindDefinition) {
  const { definition, subresource, user, operation, dryRun } = request
  const subject = request.object ?? request.oldObject
  const sub = subresource === undefined ? {} : { subResource: subresource, requestSubResource: subresource }
  const { name: username, ...who } = user
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: randomUUID(),
      kind: kindOf(seen),
      resource: resourceOf(seen),
      requestKind: kindOf(definition),
      requestResource: resourceOf(definition),
      ...sub,
      name: request.name ?? subject?.metadata.name,
      namespace: request.namespace,
      operation,
      userInfo: { username, ...who },
      object: inVersion(request.object, seen) ?? null,
      oldObject: inVersion(request.oldObject, seen) ?? null,
      dryRun,
      options: null,
    },
  }
}

function refusal(webhook: Webhook, answer: WebhookResponse): StatusError {
  const why = answer.message ?? answer.reason ?? 'without explanation'
  const separator = answer.message || answer.reason ? ': ' : ' '
  const message = `admission webhook "${webhook.name}" denied the request${separator}${why}`
  return new StatusError(answer.code ?? 403, answer.reason ?? 'Forbidden', message)
}

/** Calls the admission webhooks of the store's configurations as a plugin of the admission chain. */
export class Webhooks implements AdmissionPlugin {
  readonly #parts: WebhookParts

  constructor(parts: WebhookParts) {
    this.#parts = parts
  }

  async mutate(request: AdmissionRequest): Promise<void> {
    const configured = this.#configured(resources.mutatingWebhookConfigurations)
    const called: { webhook: Webhook; after: StoredObject | undefined }[] = []
    for (const webhook of configured) {
      const match = this.#match(webhook, request)
      if (!match) continue
      await this.#mutateWith(match, request)
      called.push({ webhook, after: request.object })
    }
    for (const { webhook, after } of called) {
      if (webhook.reinvocationPolicy !== 'IfNeeded' || jsonEqual(after, request.object)) continue
      const match = this.#match(webhook, request)
      if (match) await this.#mutateWith(match, request)
    }
  }

  async validate(request: AdmissionRequest): Promise<void> {
    const configured = this.#configured(resources.validatingWebhookConfigurations)
    const matches = configured.flatMap((webhook) => this.#match(webhook, request) ?? [])
    const answers = await Promise.all(matches.map((match) => this.#ask(match, request)))
    for (const [index, answer] of answers.entries()) {
      const webhook = matches[index]?.webhook
      if (webhook && answer && !answer.allowed) throw refusal(webhook, answer)
    }
  }

  /** All webhooks in the order of the names of their configurations. */
  #configured(resource: typeof resources.mutatingWebhookConfigurations): Webhook[] {
    const configurations = this.#parts.store.list<StoredObject>(resource).items
    return configurations.flatMap((item) => objectsAt(item, ['webhooks']) as unknown as Webhook[])
  }

  #match(webhook: Webhook, request: AdmissionRequest): Match | undefined {
    const { store, registry, logger } = this.#parts
    const definition = matchWebhook(store, registry, webhook, request)
    if (!definition) return undefined
    const holds = conditionsHold(webhook, admissionReview(request, definition).request, logger)
    return holds ? { webhook, definition } : undefined
  }

  async #mutateWith(match: Match, request: AdmissionRequest): Promise<void> {
    const answer = await this.#ask(match, request)
    if (!answer) return
    if (!answer.allowed) throw refusal(match.webhook, answer)
    if (!answer.patch || !request.object) return
    const seen = inVersion(request.object, match.definition) as StoredObject
    const patched = applyJsonPatch(seen, answer.patch)
    request.object = inVersion(patched, request.definition)
  }

  /** The answer; undefined when the webhook failed and its policy is to go on without it. */
  async #ask(
    { webhook, definition }: Match,
    request: AdmissionRequest,
  ): Promise<WebhookResponse | undefined> {
    const { store, dial, logger } = this.#parts
    try {
      const answer = await callWebhook(store, dial, webhook, admissionReview(request, definition))
      request.warnings.push(...answer.warnings)
      return answer
    } catch (error) {
      const failure = `failed calling webhook "${webhook.name}": failed to call webhook: Post "${webhookUrl(webhook)}": ${messageOf(error)}`
      if (webhook.failurePolicy !== 'Ignore') throw internalError(failure)
      logger.warn({ webhook: webhook.name, error: messageOf(error) }, 'webhook failed and is ignored')
      return undefined
    }
  }
}
