import { canonicalIp } from './ip.ts'

/** What a proxy asks about. */
export type Destination = AddressDestination | ServiceDestination

export interface AddressDestination {
  kind: 'address'
  /** Canonical text. */
  ip: string
  port: number
}

export interface ServiceDestination {
  kind: 'service'
  namespace: string
  name: string
  port: number
  /** One pod of a headless Service, by its host name. */
  instance?: string
}

/** Why a destination cannot be read; the text is for the caller. */
export interface Malformed {
  kind: 'malformed'
  reason: string
}

const defaultPort = 80
const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/**
 * Reads `IP:PORT` or `[INSTANCE.]NAME.NAMESPACE.svc.DOMAIN[:PORT]`. The port is 80 when there is none.
 * @param clusterDomain such as `cluster.local`
 */
export function parseDestination(path: string, clusterDomain: string): Destination | Malformed {
  const { host, port } = splitPort(path)
  if (port === undefined) return malformed(`"${path}" has a port that is not one of 1 to 65535`)
  const ip = canonicalIp(host)
  if (ip !== undefined) return { kind: 'address', ip, port }
  return parseServiceName(host, port, clusterDomain)
}

/** Reads `NAME.NAMESPACE.svc.DOMAIN[:PORT]`. */
export function parseServiceAuthority(
  authority: string,
  clusterDomain: string,
): Omit<ServiceDestination, 'instance'> | Malformed {
  const parsed = parseDestination(authority, clusterDomain)
  if (parsed.kind === 'malformed') return parsed
  if (parsed.kind === 'address') return malformed(`"${authority}" is an address, not a name of a Service`)
  const { instance, ...service } = parsed
  return instance === undefined ? service : malformed(`"${authority}" names a pod, not a Service`)
}

function splitPort(path: string): { host: string; port: number | undefined } {
  const bracketed = /^\[(.*)\](?::(.*))?$/.exec(path)
  if (bracketed?.[1] !== undefined) return { host: bracketed[1], port: parsePort(bracketed[2]) }
  const colon = path.lastIndexOf(':')
  // More than one colon without brackets is an IPv6 address alone.
  if (colon === -1 || path.indexOf(':') !== colon) return { host: path, port: defaultPort }
  return { host: path.slice(0, colon), port: parsePort(path.slice(colon + 1)) }
}

function parsePort(text: string | undefined): number | undefined {
  if (text === undefined) return defaultPort
  if (!/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port >= 1 && port <= 65535 ? port : undefined
}

function parseServiceName(host: string, port: number, clusterDomain: string): ServiceDestination | Malformed {
  const name = host.toLowerCase().replace(/\.$/, '')
  const suffix = `.svc.${clusterDomain.toLowerCase().replace(/\.$/, '')}`
  if (!name.endsWith(suffix)) {
    return malformed(`"${host}" is not a name of a Service; such names end in "${suffix}"`)
  }
  const labels = name.slice(0, -suffix.length).split('.')
  if (labels.length < 2 || labels.length > 3 || !labels.every((label) => dnsLabel.test(label))) {
    return malformed(`"${host}" is not of the form [INSTANCE.]NAME.NAMESPACE${suffix}`)
  }
  const [service = '', namespace = ''] = labels.slice(-2)
  const instance = labels.length === 3 ? labels[0] : undefined
  return {
    kind: 'service',
    namespace,
    name: service,
    port,
    ...(instance === undefined ? {} : { instance }),
  }
}

function malformed(reason: string): Malformed {
  return { kind: 'malformed', reason }
}
