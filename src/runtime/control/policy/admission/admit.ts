import { resources } from '../../../kube/resources.ts'
import type { WebhookNames } from '../../webhook/certificate.ts'
import type { AdmissionAnswer, AdmissionRequest } from '../../webhook/serve.ts'
import { type ReviewSources, reviewObject } from './review.ts'

/** The validating webhook of policy, routes and ServiceProfiles. Its names are Linkerd's. */
export const validatorNames: WebhookNames = {
  service: 'linkerd-policy-validator',
  secret: 'linkerd-policy-validator-k8s-tls',
  configuration: {
    resource: resources.validatingWebhookConfigurations,
    name: 'linkerd-policy-validator-webhook-config',
  },
  component: 'destination',
}

const code = 'MESH_POLICY_INVALID'

/** What reviews are made with. */
export interface AdmissionSources extends ReviewSources {
  /** What is wrong with a ServiceProfile; discovery knows. */
  reviewServiceProfile: (object: { metadata: { name: string }; spec?: unknown }) => string[]
}

/** Refuses what is wrong, by its fields, and warns of what is odd. Deletions are not reviewed. */
export function admitPolicy(request: AdmissionRequest, sources: AdmissionSources): AdmissionAnswer {
  const { kind, namespace = '', operation, object } = request
  if (operation === 'DELETE') return { allowed: true }
  const { problems, warnings } =
    kind.group === 'linkerd.io' && kind.kind === 'ServiceProfile'
      ? { problems: reviewProfile(object, sources), warnings: [] }
      : reviewObject({ group: kind.group, kind: kind.kind, namespace, object }, sources)
  if (problems.length === 0) return warnings.length === 0 ? { allowed: true } : { allowed: true, warnings }
  return { allowed: false, message: `${kind.kind} is refused (${code}): ${problems.join('; ')}`, warnings }
}

function reviewProfile(object: unknown, sources: AdmissionSources): string[] {
  const { metadata, spec } = (object ?? {}) as { metadata?: { name?: unknown }; spec?: unknown }
  return sources.reviewServiceProfile({ metadata: { name: String(metadata?.name ?? '') }, spec })
}
