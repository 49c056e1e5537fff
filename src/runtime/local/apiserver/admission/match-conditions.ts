import { messageOf } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/logger.ts'
import { evaluateCel } from '../cel/evaluate.ts'
import type { Webhook } from './webhook-match.ts'

/**
 * Whether all matchConditions of a webhook hold (KEP-3716). A condition that cannot be evaluated here is logged and
 * counts as holding: the webhook is rather called once too often than skipped.
 * @param request the `request` of the AdmissionReview
 */
export function conditionsHold(webhook: Webhook, request: Record<string, unknown>, logger: Logger): boolean {
  const variables = { request, object: request.object, oldObject: request.oldObject }
  return (webhook.matchConditions ?? []).every(({ name, expression }) => {
    try {
      return evaluateCel(expression, variables) === true
    } catch (error) {
      const details = { webhook: webhook.name, condition: name, error: messageOf(error) }
      logger.warn(details, 'match condition cannot be evaluated; the webhook is called')
      return true
    }
  })
}
