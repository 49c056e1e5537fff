import { Listr, type ListrTask, PRESET_TIMER } from 'listr2'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { Shell } from './shell.ts'
import { type DemoPod, isReady, outside, podsOf, until, type World } from './world.ts'

/** What the shop is made of, and how many pods each service has. */
export const shopReplicas = { catalog: 2, cart: 2, stock: 2, payments: 2, web: 2, load: 1 } as const

/** What a user would type, in order, from nothing to a meshed application. */
export function setUpCommands(cluster: string): string[] {
  return [
    `mesh local start --name ${cluster}`,
    'mesh check --pre',
    'mesh install --crds | kubectl apply -f -',
    'mesh install | kubectl apply -f -',
    'mesh check',
    'mesh viz install | kubectl apply -f -',
    'mesh inject examples/shop/shop.yaml | kubectl apply -f -',
  ]
}

/** Types the commands, then waits until every pod of the shop and metrics-api are ready. */
export async function setUp(commands: readonly string[], shell: Shell, world: () => World): Promise<void> {
  const typed: ListrTask[] = commands.map((command) => ({
    title: `$ ${shell.spell(command)}`,
    task: async () => {
      await shell.run(command)
    },
  }))
  const waits: ListrTask[] = [
    { title: 'the shop is ready, a proxy in each pod', task: () => shopIsReady(world()) },
    { title: 'metrics-api is ready', task: () => vizIsReady(world()) },
  ]
  const tasks = new Listr([...typed, ...waits], {
    exitOnError: true,
    registerSignalListeners: false,
    rendererOptions: { collapseErrors: false, timer: PRESET_TIMER },
    fallbackRendererOptions: { timer: PRESET_TIMER },
  })
  await tasks.run()
}

async function shopIsReady(world: World): Promise<void> {
  for (const [app, replicas] of Object.entries(shopReplicas)) {
    await until(world, `${replicas} pods of ${app} are ready`, async () => {
      const ready = (await podsOf(world, app)).filter(isReady)
      return ready.length === replicas ? true : undefined
    })
  }
  await world.kube.create(resources.namespaces, { metadata: { name: outside } })
}

async function vizIsReady(world: World): Promise<void> {
  await until(world, 'metrics-api is ready', async () => {
    const { items } = await world.kube.list<DemoPod>(resources.pods, { namespace: 'linkerd-viz' })
    return items.some(isReady) ? true : undefined
  })
}
