import { demand } from '../claims.ts'
import { shopReplicas } from '../set-up.ts'
import { loadStats, until, type World } from '../world.ts'
import type { Proof } from './proof.ts'

/** A row of `mesh viz stat -o json`. */
interface StatJson {
  name: string
  meshed: string
  success: number | null
  rps: number | null
  tcp_open_connections: number | null
  tcp_read_bytes_rate: number | null
}

async function statOf(world: World): Promise<Map<string, StatJson>> {
  const { stdout } = await world.shell.run('mesh viz stat deploy -n shop -t 15s -o json')
  return new Map((JSON.parse(stdout) as StatJson[]).map((row) => [row.name, row]))
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

function successBetween(stat: Map<string, StatJson>, app: string, low: number, high: number): string {
  const success = stat.get(app)?.success
  demand(typeof success === 'number', `${app} has no success rate`)
  demand(success >= low && success <= high, `${app} has a success rate of ${percent(success)}`)
  return percent(success)
}

/** Payments fails one in five charges; web passes that on for two of three requests; the others do not fail. */
async function faultShown(world: World): Promise<string> {
  const stat = await statOf(world)
  const payments = successBetween(stat, 'payments', 0.75, 0.85)
  const web = successBetween(stat, 'web', 0.82, 0.92)
  for (const app of ['catalog', 'cart']) successBetween(stat, app, 1, 1)
  return `payments ${payments}, web ${web}, catalog and cart 100 %`
}

/** The table of `mesh viz stat`, and what the load generator itself counted. */
export const traffic: Proof = {
  heading: 'Golden metrics of live traffic. Payments has a planted fault: each fifth charge fails.',
  prepare: async (world) => {
    // Enough that a rate means something: about a hundred charges.
    await until(world, 'the load generator meets the fault', async () =>
      (await loadStats(world)).planted >= 20 ? true : undefined,
    )
  },
  command: 'mesh viz stat deploy -n shop -t 15s',
  claims: (world) => [
    {
      title: 'every pod of the shop is meshed',
      prove: async () => {
        const stat = await statOf(world)
        const shown = Object.keys(shopReplicas).map((app) => `${app} ${stat.get(app)?.meshed ?? '-'}`)
        const expected = Object.entries(shopReplicas).map(([app, count]) => `${app} ${count}/${count}`)
        demand(shown.join() === expected.join(), shown.join(', '))
        return shown.join(', ')
      },
    },
    {
      title: 'the planted fault shows in payments, and in web which depends on it, and nowhere else',
      // A scrape may be some seconds old.
      prove: () => until(world, 'the last scrape shows it', () => faultShown(world), 15_000),
    },
    {
      title: 'a TCP protocol in which the server speaks first is carried and counted',
      prove: async () => {
        const bytes = (await statOf(world)).get('stock')?.tcp_read_bytes_rate ?? 0
        demand(bytes > 0, 'no byte to stock was counted')
        return `stock read ${bytes.toFixed(0)} B/s`
      },
    },
    {
      title: 'the load generator sees the planted fault and no other failure',
      prove: async () => {
        const before = await loadStats(world)
        const after = await until(world, 'a hundred more requests are sent', async () => {
          const stats = await loadStats(world)
          return stats.sent >= before.sent + 100 ? stats : undefined
        })
        const bad = after.failed + after.lost - before.failed - before.lost
        const planted = (after.planted - before.planted) / (after.sent - before.sent)
        demand(bad === 0, `${bad} other failures: ${after.failures.at(-1)?.reason}`)
        demand(planted > 0.08 && planted < 0.19, `${percent(planted)} of requests met the planted fault`)
        return `${after.sent - before.sent} requests, ${percent(planted)} met the fault, none failed otherwise`
      },
    },
  ],
}
