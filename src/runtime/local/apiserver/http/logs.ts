import { systemClock } from '../../../shared/clock.ts'
import { objectsAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { badRequest } from '../status.ts'
import type { PodLogOptions } from '../types.ts'
import type { Operation } from '../verbs/operation.ts'
import { currentObject } from '../verbs/update.ts'
import type { HandlerContext } from './context.ts'
import type { ApiRequest, ApiResponse } from './message.ts'
import { flagOf } from './options.ts'

function containerNames(pod: StoredObject): { all: string[]; main: string[] } {
  const names = (key: string) => objectsAt(pod, ['spec', key]).map((container) => String(container.name))
  const main = names('containers')
  return { main, all: [...main, ...names('initContainers'), ...names('ephemeralContainers')] }
}

/**
 * The container that a request means: the one that it names, or the only one.
 * @throws KubeError 400 when there is a choice, or none of that name
 */
export function chooseContainer(pod: StoredObject, wanted: string | null): string {
  const { all, main } = containerNames(pod)
  const { name } = pod.metadata
  if (wanted) {
    if (all.includes(wanted)) return wanted
    throw badRequest(`container ${wanted} is not valid for pod ${name}`)
  }
  const [only] = main
  if (only !== undefined && main.length === 1) return only
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${main.join(' ')}]`)
}

function numberOf(request: ApiRequest, name: string): number | undefined {
  const given = request.query.get(name)
  if (given === null || given === '') return undefined
  const number = Number(given)
  if (!Number.isInteger(number) || number < 0)
    throw badRequest(`${name} must be a whole number, zero or more`)
  return number
}

function optionsOf(request: ApiRequest): PodLogOptions {
  const numbers = {
    tailLines: numberOf(request, 'tailLines'),
    sinceSeconds: numberOf(request, 'sinceSeconds'),
    limitBytes: numberOf(request, 'limitBytes'),
    sinceTime: request.query.get('sinceTime') ?? undefined,
  }
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined))
  return {
    follow: flagOf(request, 'follow'),
    previous: flagOf(request, 'previous'),
    timestamps: flagOf(request, 'timestamps'),
    signal: request.signal,
    ...given,
  }
}

/** The log of a container as plain text. */
export async function podLogResponse(
  context: HandlerContext,
  request: ApiRequest,
  operation: Operation,
): Promise<ApiResponse> {
  const pod = currentObject(context.core, operation)
  const container = chooseContainer(pod, request.query.get('container'))
  const { namespace = '', name } = pod.metadata
  const lines = context.hooks().podLogs(namespace, name, container, optionsOf(request))
  return { status: 200, headers: { 'content-type': 'text/plain' }, body: await begun(lines) }
}

/** How long an answer is held back for its first line, so that an early error is still an answer. */
const firstLineMs = 250

async function begun(chunks: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = chunks[Symbol.asyncIterator]()
  const first = iterator.next()
  const waited = new AbortController()
  const pause = systemClock.sleep(firstLineMs, waited.signal).catch(() => undefined)
  try {
    await Promise.race([first, pause])
  } finally {
    waited.abort()
  }
  return follow(iterator, first)
}

async function* follow(
  iterator: AsyncIterator<Uint8Array>,
  first: Promise<IteratorResult<Uint8Array>>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = await first; !next.done; next = await iterator.next()) yield next.value
  } finally {
    await iterator.return?.()
  }
}
