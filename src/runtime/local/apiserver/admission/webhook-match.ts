import { resources } from '../../../kube/resources.ts'
import type { StoredObject } from '../objects.ts'
import type { KindDefinition } from '../registry/definition.ts'
import type { Registry } from '../registry/registry.ts'
import { type LabelSelector, labelsMatch } from '../selectors.ts'
import type { Store } from '../store.ts'
import type { AdmissionRequest } from './admission.ts'

/** One rule of a webhook, `RuleWithOperations` of the API. */
interface Rule {
  operations?: string[]
  apiGroups?: string[]
  apiVersions?: string[]
  resources?: string[]
  scope?: string
}

/** A webhook of a MutatingWebhookConfiguration or a ValidatingWebhookConfiguration. */
export interface Webhook {
  name: string
  clientConfig: {
    url?: string
    caBundle?: string
    service?: { name: string; namespace: string; path?: string; port?: number }
  }
  rules?: Rule[]
  failurePolicy?: 'Fail' | 'Ignore'
  matchPolicy?: 'Equivalent' | 'Exact'
  namespaceSelector?: LabelSelector
  objectSelector?: LabelSelector
  timeoutSeconds?: number
  reinvocationPolicy?: 'Never' | 'IfNeeded'
  matchConditions?: { name: string; expression: string }[]
}

function includes(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(value))
}

/** `pods`, `pods/status`, `pods/*`, `*`, and with a slash and a star for all subresources. */
function namesResource(pattern: string, plural: string, subresource: string | undefined): boolean {
  const [wantedPlural, wantedSub] = pattern.split('/')
  if (wantedPlural !== '*' && wantedPlural !== plural) return false
  if (wantedSub === undefined) return subresource === undefined
  return wantedSub === '*' || wantedSub === subresource
}

function ruleMatches(rule: Rule, request: AdmissionRequest, definition: KindDefinition): boolean {
  const { group, version, plural, namespaced } = definition.resource
  if (!includes(rule.operations, request.operation)) return false
  if (!includes(rule.apiGroups, group) || !includes(rule.apiVersions, version)) return false
  if (!(rule.resources ?? []).some((pattern) => namesResource(pattern, plural, request.subresource)))
    return false
  const scope = rule.scope ?? '*'
  return scope === '*' || scope === (namespaced ? 'Namespaced' : 'Cluster')
}

function namespaceMatches(store: Store, webhook: Webhook, request: AdmissionRequest): boolean {
  const { definition, object, oldObject, namespace } = request
  if (definition.resource.kind === 'Namespace') {
    return labelsMatch(webhook.namespaceSelector, (object ?? oldObject)?.metadata.labels)
  }
  if (namespace === undefined) return true
  const found = store.get<StoredObject>(resources.namespaces, namespace)
  return labelsMatch(webhook.namespaceSelector, found?.metadata.labels)
}

function objectMatches(webhook: Webhook, request: AdmissionRequest): boolean {
  return [request.object, request.oldObject].some(
    (object) => object !== undefined && labelsMatch(webhook.objectSelector, object.metadata.labels),
  )
}

/** Webhook configurations are never judged by webhooks: nobody could mend a bad one. */
const exempt = new Set(['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])

/**
 * The definition, among the versions of the kind, under which a webhook wants to see a request; undefined when it
 * does not. Its matchConditions are not looked at.
 */
export function matchWebhook(
  store: Store,
  registry: Registry,
  webhook: Webhook,
  request: AdmissionRequest,
): KindDefinition | undefined {
  const { resource } = request.definition
  if (exempt.has(resource.kind)) return undefined
  const versions = registry
    .ofGroup(resource.group)
    .filter((other) => other.resource.plural === resource.plural)
  const candidates = [request.definition, ...(webhook.matchPolicy === 'Exact' ? [] : versions)]
  const found = candidates.find((definition) =>
    (webhook.rules ?? []).some((rule) => ruleMatches(rule, request, definition)),
  )
  if (!found || !namespaceMatches(store, webhook, request) || !objectMatches(webhook, request))
    return undefined
  return found
}
