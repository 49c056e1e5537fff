import { createHash } from 'node:crypto'
import { type ApiRequest, type ApiResponse, jsonResponse } from '../http/message.ts'
import type { KindDefinition } from '../registry/definition.ts'
import type { Registry } from '../registry/registry.ts'
import { openApiDocument } from './document.ts'

const prefix = '/openapi/v3/'

/** `api/v1` or `apis/GROUP/VERSION`. */
function documentName({ resource }: KindDefinition): string {
  return resource.group === '' ? `api/${resource.version}` : `apis/${resource.group}/${resource.version}`
}

/** The documents of all versions, made once per state of the registry. */
class Documents {
  readonly #registry: Registry
  #revision = -1
  #texts = new Map<string, { text: string; hash: string }>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  all(): Map<string, { text: string; hash: string }> {
    if (this.#revision === this.#registry.revision) return this.#texts
    this.#revision = this.#registry.revision
    const byName = new Map<string, KindDefinition[]>()
    for (const definition of this.#registry.all()) {
      const name = documentName(definition)
      byName.set(name, [...(byName.get(name) ?? []), definition])
    }
    this.#texts = new Map()
    for (const [name, definitions] of byName) {
      const text = JSON.stringify(openApiDocument(definitions))
      const hash = createHash('sha256').update(text).digest('hex').slice(0, 32).toUpperCase()
      this.#texts.set(name, { text, hash })
    }
    return this.#texts
  }
}

const cache = new WeakMap<Registry, Documents>()

function documentsOf(registry: Registry): Documents {
  const documents = cache.get(registry) ?? new Documents(registry)
  cache.set(registry, documents)
  return documents
}

/** Answers `/openapi/v3` and the documents that it names (KEP-2896); undefined for any other path. */
export function answerOpenApi(registry: Registry, request: ApiRequest): ApiResponse | undefined {
  const documents = documentsOf(registry).all()
  if (request.path === '/openapi/v3' || request.path === prefix) {
    const entries = [...documents].map(([name, { hash }]) => [
      name,
      { serverRelativeURL: `${prefix}${name}?hash=${hash}` },
    ])
    return jsonResponse(200, { paths: Object.fromEntries(entries) })
  }
  if (!request.path.startsWith(prefix)) return undefined
  const document = documents.get(request.path.slice(prefix.length))
  if (!document) return undefined
  const isPinned = request.query.get('hash') === document.hash
  const headers = {
    'content-type': 'application/json',
    etag: `"${document.hash}"`,
    'cache-control': isPinned ? 'public, immutable, max-age=31536000' : 'no-cache, private',
  }
  return { status: 200, headers, body: document.text }
}
