import { demand } from '../claims.ts'
import { loadStats, until } from '../world.ts'
import { callFromOutside } from './outsider.ts'
import type { Proof } from './proof.ts'

const charge = 'http://payments.shop:8080/charge'

/** Who may call whom. */
export const authorization: Proof = {
  heading: 'Policy: only the identity of web may call payments.',
  claims: (world) => [
    {
      title: 'without the policy a raw client is served',
      prove: async () => {
        const { status, error } = await callFromOutside(world, 'raw-before', charge)
        // Each fifth charge is refused by payments itself; that is an answer too.
        demand(status === 200 || status === 500, error ?? `status ${status}`)
        return `status ${status}`
      },
    },
    {
      title: 'with the policy (kubectl apply -f examples/shop/policy.yaml) the raw client is refused',
      prove: async () => {
        await world.shell.run('kubectl apply -f examples/shop/policy.yaml')
        let attempt = 0
        return until(world, 'the raw client is refused', async () => {
          attempt += 1
          const { status, headers } = await callFromOutside(world, `raw-after-${attempt}`, charge)
          demand(status === 403, `status ${status}`)
          return `status 403, l5d-proxy-error: ${headers?.['l5d-proxy-error'] ?? 'none'}`
        })
      },
    },
    {
      title: 'and web is not',
      prove: async () => {
        const before = await loadStats(world)
        const after = await until(world, 'sixty more requests are sent', async () => {
          const stats = await loadStats(world)
          return stats.sent >= before.sent + 60 ? stats : undefined
        })
        const bad = after.failed + after.lost - before.failed - before.lost
        demand(bad === 0, `${bad} requests failed: ${after.failures.at(-1)?.reason}`)
        return `${after.sent - before.sent} requests, none refused`
      },
    },
  ],
}
