import { pathOf, resources } from '../../../src/runtime/kube/resources.ts'
import { demand } from '../claims.ts'
import { shopReplicas } from '../set-up.ts'
import { isReady, loadStats, podsOf, until, type World } from '../world.ts'
import type { Proof } from './proof.ts'

/** As `kubectl delete pod NAME --grace-period=0 --force` does: no signal to stop first. */
async function kill(world: World, name: string): Promise<void> {
  const { status, body } = await world.kube.raw({
    method: 'DELETE',
    path: pathOf(resources.pods, 'shop', name),
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 }),
  })
  demand(status < 300, `the pod cannot be deleted: ${status} ${body}`)
}

/** A pod is killed, and who notices. */
export const resilience: Proof = {
  heading: 'A pod of web is killed under load, without a signal to stop first.',
  claims: (world) => [
    {
      title: 'no request is lost beyond those in flight',
      prove: async () => {
        const [victim] = await podsOf(world, 'web')
        demand(victim !== undefined, 'web has no pod')
        const before = await loadStats(world)
        await kill(world, victim.metadata.name)
        const pods = await until(world, 'another pod takes its place', async () => {
          const ready = (await podsOf(world, 'web')).filter(isReady)
          const isReplaced = ready.every(({ metadata }) => metadata.uid !== victim.metadata.uid)
          return isReplaced && ready.length === shopReplicas.web ? ready : undefined
        })
        const after = await until(world, 'a hundred more requests are sent', async () => {
          const stats = await loadStats(world)
          return stats.sent >= before.sent + 100 ? stats : undefined
        })
        const sent = after.sent - before.sent
        const lost = after.failed + after.lost - before.failed - before.lost
        const allowed = Math.max(1, before.inFlight)
        demand(lost <= allowed, `${lost} of ${sent} were lost: ${after.failures.at(-1)?.reason}`)
        const names = pods.map(({ metadata }) => metadata.name).join(' and ')
        return `${victim.metadata.name} killed, now ${names}; of ${sent} requests ${lost} lost`
      },
    },
  ],
}
