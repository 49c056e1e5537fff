import { UnusableRoute } from './match.ts'

export interface HeaderField {
  name: string
  value: string
}

/** Changes of headers: `set` replaces, `add` appends, `remove` comes last. */
export interface HeaderChanges {
  set: readonly HeaderField[]
  add: readonly HeaderField[]
  remove: readonly string[]
}

export interface Redirect {
  scheme?: 'http' | 'https'
  host?: string
  path?: { kind: 'full' | 'prefix'; value: string }
  port?: number
  status: number
}

/** What is done with a request on its way. */
export type Filter =
  | { kind: 'request-headers'; changes: HeaderChanges }
  | { kind: 'response-headers'; changes: HeaderChanges }
  | { kind: 'redirect'; redirect: Redirect }
  /** Answered by the proxy itself. */
  | { kind: 'failure'; status: number; message: string }

export interface FilterSpec {
  type?: string
  requestHeaderModifier?: HeaderChangesSpec
  responseHeaderModifier?: HeaderChangesSpec
  requestRedirect?: {
    scheme?: string
    hostname?: string
    path?: { type?: string; replaceFullPath?: string; replacePrefixMatch?: string }
    port?: number
    statusCode?: number
  }
}

interface HeaderChangesSpec {
  set?: HeaderField[]
  add?: HeaderField[]
  remove?: string[]
}

/**
 * Reads a filter of an HTTPRoute or a GRPCRoute.
 * @throws UnusableRoute for kinds that proxies do not have: leaving one out would do something else than was asked
 */
export function readFilter(spec: FilterSpec): Filter {
  switch (spec.type ?? '') {
    case 'RequestHeaderModifier':
      return { kind: 'request-headers', changes: readChanges(spec.requestHeaderModifier) }
    case 'ResponseHeaderModifier':
      return { kind: 'response-headers', changes: readChanges(spec.responseHeaderModifier) }
    case 'RequestRedirect':
      return { kind: 'redirect', redirect: readRedirect(spec.requestRedirect ?? {}) }
    default:
      throw new UnusableRoute(`filters of type ${spec.type ?? '(none)'} are not supported`)
  }
}

function readChanges({ set = [], add = [], remove = [] }: HeaderChangesSpec = {}): HeaderChanges {
  const field = ({ name, value }: HeaderField) => ({ name: name.toLowerCase(), value })
  return { set: set.map(field), add: add.map(field), remove: remove.map((name) => name.toLowerCase()) }
}

function readRedirect(spec: NonNullable<FilterSpec['requestRedirect']>): Redirect {
  const { scheme, hostname, port, statusCode = 302 } = spec
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw new UnusableRoute(`a redirect to the scheme "${scheme}" is not supported`)
  }
  const path = readPath(spec.path)
  return {
    status: statusCode,
    ...(scheme === undefined ? {} : { scheme }),
    ...(hostname === undefined ? {} : { host: hostname }),
    ...(path === undefined ? {} : { path }),
    ...(port === undefined ? {} : { port }),
  }
}

function readPath(path: NonNullable<FilterSpec['requestRedirect']>['path']): Redirect['path'] {
  const { type, replaceFullPath, replacePrefixMatch } = path ?? {}
  if (path === undefined) return undefined
  if (type === 'ReplaceFullPath') return { kind: 'full', value: replaceFullPath ?? '/' }
  if (type === 'ReplacePrefixMatch') return { kind: 'prefix', value: replacePrefixMatch ?? '/' }
  throw new UnusableRoute(`"${type}" is not a way to replace paths`)
}
