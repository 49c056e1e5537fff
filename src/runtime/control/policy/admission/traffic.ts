import type { MeshConfig } from '../../cluster/config.ts'
import type { Observer } from '../../cluster/reactive.ts'
import { idOf } from '../../cluster/table.ts'
import { type EgressNetworkObject, readEgressNetwork } from '../egress-network.ts'
import type { RateLimitObject } from '../rate-limit.ts'
import { policyGroup, refersTo } from '../reference.ts'
import { readTrafficSplit, type TrafficSplitObject } from '../traffic-split.ts'
import type { ReviewContext } from './clients.ts'
import type { Findings } from './findings.ts'
import { reviewNetworks } from './networks.ts'

const once: Observer = { depend: () => {}, invalidate: () => {} }

export function reviewEgressNetwork(
  object: EgressNetworkObject,
  config: MeshConfig,
  findings: Findings,
): void {
  const { trafficPolicy, networks } = object.spec ?? {}
  if (trafficPolicy !== 'Allow' && trafficPolicy !== 'Deny') {
    findings.refuse('spec.trafficPolicy', `"${trafficPolicy ?? ''}" is not Allow or Deny`)
  }
  if (networks?.length === 0)
    findings.refuse('spec.networks', 'it is empty; leave it out to mean all networks')
  reviewNetworks('spec.networks', networks ?? [], findings)
  const { problem } = readEgressNetwork(object, config)
  if (problem !== undefined && findings.problems.length === 0) findings.warn('spec.networks', problem.message)
}

export function reviewRateLimit(object: RateLimitObject, context: ReviewContext, findings: Findings): void {
  const { targetRef = {}, total, identity, overrides = [] } = object.spec ?? {}
  const id = idOf(context.namespace, targetRef.name ?? '')
  if (!refersTo(targetRef, policyGroup, 'Server')) {
    findings.refuse('spec.targetRef', 'it is not a Server of policy.linkerd.io')
  } else if (context.cluster.servers.get(id, once) === undefined) {
    findings.warn('spec.targetRef', `there is no Server ${id}`)
  }
  if (total === undefined && identity === undefined && overrides.length === 0) {
    findings.refuse('spec', 'it limits nothing: there is no total, no identity and no override')
  }
  const most = total?.requestsPerSecond
  const reviewRate = (field: string, rate: number | undefined) => {
    if (rate === undefined || !Number.isInteger(rate) || rate < 1 || rate > 4_294_967_295) {
      findings.refuse(field, 'it is not a whole number of at least 1')
    } else if (most !== undefined && rate > most) {
      findings.warn(field, `${rate} is more than the total of ${most}, which comes first`)
    }
  }
  if (total !== undefined) reviewRate('spec.total.requestsPerSecond', most)
  if (identity !== undefined) reviewRate('spec.identity.requestsPerSecond', identity.requestsPerSecond)
  overrides.forEach(({ requestsPerSecond, clientRefs = [] }, place) => {
    const field = `spec.overrides[${place}]`
    reviewRate(`${field}.requestsPerSecond`, requestsPerSecond)
    clientRefs.forEach((reference, index) => {
      if (refersTo(reference, '', 'ServiceAccount')) return
      findings.refuse(`${field}.clientRefs[${index}]`, `${reference.kind} is not a ServiceAccount`)
    })
  })
}

export function reviewTrafficSplit(
  object: TrafficSplitObject,
  { cluster, namespace }: ReviewContext,
  findings: Findings,
): void {
  const split = readTrafficSplit(object)
  if (split.service === '') findings.refuse('spec.service', 'it is missing')
  if (split.problem !== undefined) findings.refuse('spec', split.problem)
  if (split.backends.length === 0) findings.refuse('spec.backends', 'there must be at least one')
  const services = [
    ['spec.service', split.service],
    ...split.backends.map(({ service }, place) => [`spec.backends[${place}].service`, service]),
  ] as const
  for (const [field = '', name = ''] of services) {
    const isThere = cluster.services.get(idOf(namespace, name), once) !== undefined
    if (name !== '' && !isThere) findings.warn(field, `there is no Service ${namespace}/${name}`)
  }
  if (split.backends.length > 0 && split.backends.every(({ weight }) => weight === 0)) {
    findings.warn('spec.backends', 'no backend has any weight; requests will be answered with 500')
  }
}
