import { badRequest } from '../status.ts'

/** What the path of a resource request names. */
export interface ResourcePath {
  group: string
  version: string
  namespace?: string
  plural: string
  name?: string
  subresource?: string
  /** What follows the subresource, with its slash; for proxies. */
  rest: string
}

/** Subresources of namespaces, which look like resources in a namespace. */
const namespaceSubresources = new Set(['status', 'finalize'])

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw badRequest(`the path holds a malformed escape: ${part}`)
  }
}

function split(path: string): { group: string; version: string; parts: string[] } | undefined {
  const parts = path.split('/').slice(1)
  if (parts.at(-1) === '') parts.pop()
  if (parts[0] === 'api' && parts.length > 2) {
    return { group: '', version: parts[1] ?? '', parts: parts.slice(2) }
  }
  if (parts[0] === 'apis' && parts.length > 3) {
    return { group: parts[1] ?? '', version: parts[2] ?? '', parts: parts.slice(3) }
  }
  return undefined
}

/**
 * Takes a path like `/api/v1/namespaces/NS/pods/NAME/log` apart.
 * @returns undefined for a path that is not about objects
 * @throws KubeError 400 for a malformed escape
 */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const found = split(path)
  if (!found) return undefined
  const { group, version } = found
  let parts = found.parts
  let namespace: string | undefined
  const third = parts[2]
  if (parts[0] === 'namespaces' && third !== undefined && !namespaceSubresources.has(third)) {
    namespace = decode(parts[1] ?? '')
    parts = parts.slice(2)
  }
  const [plural = '', name, subresource] = parts
  const rest = parts.length > 3 ? `/${parts.slice(3).join('/')}` : ''
  const slash = rest !== '' && path.endsWith('/') ? '/' : ''
  return {
    group,
    version,
    plural: decode(plural),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name: decode(name) }),
    ...(subresource === undefined ? {} : { subresource: decode(subresource) }),
    rest: rest + slash,
  }
}
