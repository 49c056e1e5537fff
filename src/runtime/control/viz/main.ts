import { Gauge } from 'prom-client'
import { startInformer } from '../../kube/informer.ts'
import { resources } from '../../kube/resources.ts'
import { messageOf } from '../../shared/errors.ts'
import type { ControllerDeps } from '../deps.ts'
import { durationMsOf, parseDurationMs } from '../duration.ts'
import type { FlagDefinition } from '../flags.ts'
import { closeServer, listen, parseListenAddress } from '../server.ts'
import { defaultHistoryLimits } from './history.ts'
import { type PodObject, readVizPod } from './pod.ts'
import { fetchMetrics, scrapeForever } from './scrape.ts'
import { createVizServer } from './serve.ts'
import { VizState } from './state.ts'

export const flags: Record<string, FlagDefinition> = {
  'listen-addr': { default: ':8085', description: 'Where the API is served' },
  'scrape-interval': {
    default: '5s',
    description: 'Time between two scrapes of a proxy, from 1s to 1m',
    problem: (value) => {
      const intervalMs = durationMsOf(value)
      const isGood = intervalMs !== undefined && intervalMs >= 1_000 && intervalMs <= 60_000
      return isGood ? undefined : 'it is a duration from 1s to 1m'
    },
  },
  'max-series': {
    default: '100000',
    description: 'Series of all proxies that are kept, each at most 1.1 KB',
    problem: (value) => (/^[1-9]\d{0,8}$/.test(value) ? undefined : 'it is a whole number above zero'),
  },
}

/** metrics-api: scrapes the proxies of all meshed pods, keeps the last hour and answers `mesh viz`. */
export async function run(deps: ControllerDeps): Promise<void> {
  const { clock, logger, options, signal } = deps
  // A wrong flag is refused before anything is started.
  const address = parseListenAddress(options['listen-addr'] ?? '')
  const state = new VizState({
    history: defaultHistoryLimits,
    maxSeries: Number(options['max-series']),
  })
  measure(state, deps)
  const podsReady = deps.ready('pods')
  const pods = startInformer<PodObject>(deps.kube, resources.pods, {
    clock,
    signal,
    onError: (error) => logger.warn({ reason: messageOf(error) }, 'watching pods failed'),
  })
  pods.onChange((change) => {
    const pod = readVizPod(change.object)
    const before = change.kind === 'updated' ? readVizPod(change.previous).uid : pod.uid
    // A name that went and came back between two lists is another pod.
    if (before !== pod.uid) state.removePod(before)
    if (change.kind === 'deleted') state.removePod(pod.uid)
    else state.setPod(pod)
  })
  const server = createVizServer({ targets: () => state.targets(), clock })
  const bound = await listen(server, address)
  logger.info({ address: bound }, 'serving')
  try {
    await pods.synced
    podsReady.ready()
    const scraping = { state, clock, fetch: fetchMetrics, signal }
    await scrapeForever(scraping, parseDurationMs(options['scrape-interval'] ?? ''))
  } finally {
    await closeServer(server)
  }
}

function measure(state: VizState, { metrics }: ControllerDeps): void {
  const register = { registers: [metrics] }
  new Gauge({
    ...register,
    name: 'mesh_viz_series',
    help: 'Series of proxies that are kept',
    collect() {
      this.set(state.seriesCount)
    },
  })
  new Gauge({
    ...register,
    name: 'mesh_viz_targets',
    help: 'Proxies that are scraped, by whether the last scrape went well',
    labelNames: ['result'],
    collect() {
      const targets = [...state.targets()].filter(({ pod, isGone }) => pod.isMeshed && !isGone)
      const failed = targets.filter(({ error }) => error !== undefined).length
      this.set({ result: 'ok' }, targets.length - failed)
      this.set({ result: 'failed' }, failed)
    },
  })
}
