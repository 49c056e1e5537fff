import { statusOf } from '../status.ts'
import type { ApiCore, Operation } from '../verbs/operation.ts'
import { watchObjects } from '../verbs/read.ts'
import type { Forms } from './forms.ts'
import type { ApiRequest, ApiResponse } from './message.ts'
import { flagOf, selectionOf } from './options.ts'

const bookmarkIntervalMs = 60_000
const defaultTimeoutSeconds = 30 * 60

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}

async function* eventLines(
  core: ApiCore,
  operation: Operation,
  request: ApiRequest,
  forms: Forms,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const initialBookmark = flagOf(request, 'sendInitialEvents')
  const fromVersion = initialBookmark ? '0' : (request.query.get('resourceVersion') ?? '0')
  const options = {
    ...selectionOf(request),
    fromVersion,
    initialBookmark,
    signal,
    ...(flagOf(request, 'allowWatchBookmarks') ? { bookmarkIntervalMs } : {}),
  }
  let awaitsInitial = initialBookmark
  try {
    for await (const event of watchObjects(core, operation, options)) {
      if (event.type !== 'BOOKMARK') {
        yield line(event.type, forms.event(event.object))
        continue
      }
      const annotations = awaitsInitial ? { 'k8s.io/initial-events-end': 'true' } : undefined
      awaitsInitial = false
      yield line('BOOKMARK', forms.bookmark(event.object.metadata.resourceVersion, annotations))
    }
  } catch (error) {
    yield line('ERROR', statusOf(error))
  }
}

/** Answers a watch: one JSON object a line, until the client goes or `timeoutSeconds` are over. */
export function watchResponse(
  core: ApiCore,
  operation: Operation,
  request: ApiRequest,
  forms: Forms,
): ApiResponse {
  const seconds = Number(request.query.get('timeoutSeconds') ?? '') || defaultTimeoutSeconds
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(seconds * 1000)])
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-cache, private' },
    body: eventLines(core, operation, request, forms, signal),
  }
}
