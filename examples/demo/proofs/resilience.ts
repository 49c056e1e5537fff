import { pathOf, resources } from '../../../src/runtime/kube/resources.ts'
import { demand } from '../claims.ts'
import { shopReplicas } from '../set-up.ts'
import { isReady, loadStats, podsOf, until, type World } from '../world.ts'
import type { Proof } from './proof.ts'

/** How a pod is ended. */
type End = 'killed' | 'stopped'

/**
 * Deletes a pod.
 * @param end `killed` is `kubectl delete pod NAME --grace-period=0 --force`: no signal to stop comes first
 */
async function deletePod(world: World, name: string, end: End): Promise<void> {
  const { status, body } = await world.kube.raw({
    method: 'DELETE',
    path: pathOf(resources.pods, 'shop', name),
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(end === 'killed' ? { gracePeriodSeconds: 0 } : {}),
    }),
  })
  demand(status < 300, `the pod cannot be deleted: ${status} ${body}`)
}

interface Outcome {
  sent: number
  lost: number
  /** Requests under way when the pod ended. */
  inFlight: number
  /** Why the last of those was lost. */
  reason: string
}

/** Ends a pod of a service, waits until another has taken its place and a hundred requests went on, and counts. */
async function endPodOf(world: World, app: keyof typeof shopReplicas, end: End): Promise<Outcome> {
  const [victim] = await podsOf(world, app)
  demand(victim !== undefined, `${app} has no pod`)
  const before = await loadStats(world)
  await deletePod(world, victim.metadata.name, end)
  await until(world, `another pod of ${app} takes its place`, async () => {
    const ready = (await podsOf(world, app)).filter(isReady)
    const isReplaced = ready.every(({ metadata }) => metadata.uid !== victim.metadata.uid)
    return isReplaced && ready.length === shopReplicas[app] ? true : undefined
  })
  const after = await until(world, 'a hundred more requests are sent', async () => {
    const stats = await loadStats(world)
    return stats.sent >= before.sent + 100 ? stats : undefined
  })
  return {
    sent: after.sent - before.sent,
    lost: after.failed + after.lost - before.failed - before.lost,
    inFlight: before.inFlight,
    reason: after.failures.at(-1)?.reason ?? '',
  }
}

/** Pods end under load, and who notices. */
export const resilience: Proof = {
  heading: 'Pods end while twenty customers a second buy.',
  claims: (world) => [
    ...(['web', 'catalog', 'payments'] as const).map((app) => ({
      title: `a pod of ${app} is killed, and no request is lost beyond the one in flight`,
      prove: async () => {
        const { sent, lost, inFlight, reason } = await endPodOf(world, app, 'killed')
        demand(lost <= Math.max(1, inFlight), `${lost} of ${sent} were lost: ${reason}`)
        return `${sent} requests, ${lost} lost`
      },
    })),
    {
      title: 'a pod of web is told to stop, and no request is lost',
      prove: async () => {
        const { sent, lost, reason } = await endPodOf(world, 'web', 'stopped')
        demand(lost === 0, `${lost} of ${sent} were lost: ${reason}`)
        return `${sent} requests, 0 lost`
      },
    },
  ],
}
