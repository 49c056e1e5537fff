import { Code, ConnectError } from '@connectrpc/connect'
import { resources } from '../../kube/resources.ts'
import type { KubeClient, KubeObject } from '../../kube/types.ts'
import { identityTokenAudience } from '../../shared/labels.ts'
import {
  podUidOfToken,
  type Refusal,
  type ServiceAccountName,
  subjectOfToken,
  type TokenReviewStatus,
} from './reconcile.ts'

interface TokenReview extends KubeObject {
  spec: { token: string; audiences: string[] }
  status?: TokenReviewStatus
}

/** Whom a token proves. */
export interface TokenOwner {
  account: ServiceAccountName
  /** Absent for a token that is not bound to a pod. */
  podUid: string | undefined
}

/** Longest token that is looked at. */
export const maxTokenBytes = 64 * 1024

/**
 * Asks the API whose token it is.
 * @throws ConnectError `INVALID_ARGUMENT`, `FAILED_PRECONDITION`
 * @throws KubeError
 */
export async function reviewToken(kube: KubeClient, token: Uint8Array): Promise<TokenOwner> {
  const review = await kube.create<TokenReview>(resources.tokenReviews, {
    metadata: {} as TokenReview['metadata'],
    spec: { token: Buffer.from(token).toString('utf8'), audiences: [identityTokenAudience] },
  })
  const status = review.status ?? {}
  const subject = subjectOfToken(status)
  if ('kind' in subject) refuseIf(subject)
  return { account: subject as ServiceAccountName, podUid: podUidOfToken(status) }
}

/** @throws ConnectError with the status of the refusal, if there is one */
export function refuseIf(refusal: Refusal | undefined): void {
  if (refusal === undefined) return
  const code = refusal.kind === 'invalid-argument' ? Code.InvalidArgument : Code.FailedPrecondition
  throw new ConnectError(refusal.reason, code)
}
