import { createServer, type Server } from 'node:http'
import type { Clock } from '../../shared/clock.ts'
import { messageOf } from '../../shared/errors.ts'
import {
  decodeEdgesQuery,
  decodeStatQuery,
  type EdgesAnswer,
  type StatAnswer,
  type TargetsAnswer,
  type VizErrorAnswer,
} from '../../shared/viz-api.ts'
import { computeEdges, computeStat } from './reconcile.ts'
import type { Target } from './state.ts'

export interface VizServerDeps {
  /** Pods with their histories. */
  targets: () => Iterable<Target>
  clock: Clock
}

type Answer = { status: number; body: StatAnswer | EdgesAnswer | TargetsAnswer | VizErrorAnswer }

/** The API of `shared/viz-api.ts`. The server does not listen yet. */
export function createVizServer(deps: VizServerDeps): Server {
  const server = createServer((request, response) => {
    request.resume()
    const { status, body } = answer(deps, request.method ?? '', request.url ?? '/')
    const text = JSON.stringify(body)
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    response.end(request.method === 'HEAD' ? undefined : text)
  })
  server.requestTimeout = 10_000
  return server
}

function answer({ targets, clock }: VizServerDeps, method: string, requestTarget: string): Answer {
  if (method !== 'GET' && method !== 'HEAD') return failure(405, 'MESH_VIZ_REQUEST', 'only GET is understood')
  const [path = '', query = ''] = requestTarget.split('?', 2)
  const parameters = new URLSearchParams(query)
  try {
    switch (path) {
      case '/api/v1/stat':
        return {
          status: 200,
          body: { rows: computeStat(targets(), decodeStatQuery(parameters), clock.nowMs()) },
        }
      case '/api/v1/edges':
        return {
          status: 200,
          body: { edges: computeEdges(targets(), decodeEdgesQuery(parameters), clock.nowMs()) },
        }
      case '/api/v1/targets':
        return { status: 200, body: describeTargets(targets()) }
      default:
        return failure(404, 'MESH_VIZ_REQUEST', `there is nothing at ${path}`)
    }
  } catch (error) {
    if (error instanceof RangeError) return failure(400, 'MESH_VIZ_REQUEST', messageOf(error))
    return failure(500, 'MESH_BUG', messageOf(error))
  }
}

function failure(status: number, code: `MESH_${string}`, message: string): Answer {
  return { status, body: { error: { code, message } } }
}

function describeTargets(targets: Iterable<Target>): TargetsAnswer {
  const scraped = [...targets].filter(({ pod, isGone }) => pod.isMeshed && !pod.hasEnded && !isGone)
  return {
    targets: scraped.map(({ pod, history, error }) => ({
      namespace: pod.namespace,
      pod: pod.name,
      lastScrapeMs: history.lastMs ?? null,
      error: error ?? null,
      series: history.seriesCount,
      droppedSeries: history.dropped,
    })),
  }
}
