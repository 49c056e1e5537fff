/** What a request's path must be. */
export interface PathMatch {
  /** `prefix` goes by whole segments. */
  kind: 'exact' | 'prefix' | 'regex'
  value: string
}

/** What a header or a query parameter must be. */
export interface ValueMatch {
  kind: 'exact' | 'regex'
  name: string
  value: string
}

/** Every part that is there must match. */
export interface HttpMatch {
  path?: PathMatch
  method?: string
  headers?: readonly ValueMatch[]
  query?: readonly ValueMatch[]
}

/** Every part that is there must match. */
export interface GrpcMatch {
  service?: string
  method?: string
  headers?: readonly ValueMatch[]
}

/** A host name; a suffix is its labels from right to left. */
export type HostMatch = { kind: 'exact'; name: string } | { kind: 'suffix'; reverseLabels: readonly string[] }

/** Makes a whole route unusable. The text is for its status. */
export class UnusableRoute extends Error {}

export interface HttpMatchSpec {
  path?: { type?: string; value?: string }
  method?: string
  headers?: ValueMatchSpec[]
  queryParams?: ValueMatchSpec[]
}

export interface GrpcMatchSpec {
  method?: { type?: string; service?: string; method?: string }
  headers?: ValueMatchSpec[]
}

interface ValueMatchSpec {
  type?: string
  name?: string
  value?: string
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']

/** @throws UnusableRoute */
export function readHttpMatch(spec: HttpMatchSpec): HttpMatch {
  if (spec.method !== undefined && !methods.includes(spec.method)) {
    throw new UnusableRoute(`"${spec.method}" is not an HTTP method`)
  }
  return {
    ...(spec.path === undefined ? {} : { path: readPath(spec.path) }),
    ...(spec.method === undefined ? {} : { method: spec.method }),
    ...(spec.headers === undefined ? {} : { headers: readHeaders(spec.headers) }),
    ...(spec.queryParams === undefined ? {} : { query: spec.queryParams.map(readValue) }),
  }
}

/** @throws UnusableRoute */
export function readGrpcMatch(spec: GrpcMatchSpec): GrpcMatch {
  const { type = 'Exact', service, method } = spec.method ?? {}
  // The wire has no pattern for the names of a call.
  if (type !== 'Exact') throw new UnusableRoute(`a method match of type ${type} is not supported`)
  return {
    ...(service === undefined ? {} : { service }),
    ...(method === undefined ? {} : { method }),
    ...(spec.headers === undefined ? {} : { headers: readHeaders(spec.headers) }),
  }
}

/** @throws UnusableRoute */
export function readHost(name: string): HostMatch {
  const lower = name.toLowerCase()
  if (!/^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(lower)) {
    throw new UnusableRoute(`"${name}" is not a host name`)
  }
  if (!lower.startsWith('*.')) return { kind: 'exact', name: lower }
  return { kind: 'suffix', reverseLabels: lower.slice(2).split('.').reverse() }
}

function readPath({ type = 'PathPrefix', value = '/' }: { type?: string; value?: string }): PathMatch {
  if (type === 'RegularExpression') return { kind: 'regex', value: checkedPattern(value) }
  if (!value.startsWith('/')) throw new UnusableRoute(`the path "${value}" does not begin with a slash`)
  if (type === 'Exact') return { kind: 'exact', value }
  if (type === 'PathPrefix') return { kind: 'prefix', value }
  throw new UnusableRoute(`"${type}" is not a way to match paths`)
}

/** Of several entries for one header only the first counts (Gateway API, HTTPRouteMatch). */
function readHeaders(specs: ValueMatchSpec[]): ValueMatch[] {
  const headers = new Map<string, ValueMatch>()
  for (const spec of specs) {
    const match = readValue(spec)
    const name = match.name.toLowerCase()
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw new UnusableRoute(`"${name}" is not a header name`)
    if (!headers.has(name)) headers.set(name, { ...match, name })
  }
  return [...headers.values()]
}

function readValue({ type = 'Exact', name = '', value = '' }: ValueMatchSpec): ValueMatch {
  if (name === '') throw new UnusableRoute('a match has no name')
  if (type === 'Exact') return { kind: 'exact', name, value }
  if (type === 'RegularExpression') return { kind: 'regex', name, value: checkedPattern(value) }
  throw new UnusableRoute(`"${type}" is not a way to match "${name}"`)
}

/**
 * A regular expression that proxies can read. Theirs (Rust's `regex`) has neither look-around nor back-references,
 * and one that they cannot read would make them refuse the whole policy.
 */
function checkedPattern(pattern: string): string {
  if (/\(\?(=|!|<=|<!|>)|\\[1-9]|\\k</.test(pattern)) {
    throw new UnusableRoute(`"${pattern}" uses look-around or a back-reference, which proxies do not have`)
  }
  // What only the other dialect has is replaced before this one is asked.
  const comparable = pattern
    .replace(/\(\?[imsUux-]+\)/g, '')
    .replaceAll('(?P<', '(?<')
    .replace(/\\[^\w\s^$\\.*+?()[\]{}|]|\\[Az]|\\p[A-Z]/g, 'x')
  try {
    new RegExp(comparable, 'u')
  } catch {
    throw new UnusableRoute(`"${pattern}" is not a regular expression`)
  }
  return pattern
}
