import { clusterDomain } from '../addresses.ts'
import { serviceNameLabel } from '../controllers/endpoint-slice/reconcile.ts'
import type { Endpoint, EndpointPort, EndpointSlice, Service, ServicePort } from '../objects.ts'

/** What the names are made of. */
export interface DnsSource {
  service(name: string, namespace: string): Service | undefined
  services(): Service[]
  slices(namespace?: string): EndpointSlice[]
  hasNamespace(name: string): boolean
}

export type DnsRecord =
  | { type: 'A' | 'CNAME' | 'PTR'; name: string; ttl: number; data: string }
  | {
      type: 'SRV'
      name: string
      ttl: number
      data: { priority: number; weight: number; port: number; target: string }
    }

/** The answer to a question. `NOERROR` without answers: the name exists, but not with this type. */
export interface DnsAnswer {
  rcode: 'NOERROR' | 'NXDOMAIN'
  answers: DnsRecord[]
  additionals: DnsRecord[]
  /** Whether the name is in the cluster's own zone. */
  isAuthoritative: boolean
}

/** Seconds that an answer may be kept. */
export const ttlSeconds = 5

const exists: Pick<DnsAnswer, 'rcode' | 'isAuthoritative'> = { rcode: 'NOERROR', isAuthoritative: true }
const missing: DnsAnswer = { rcode: 'NXDOMAIN', answers: [], additionals: [], isAuthoritative: true }
const foreign: DnsAnswer = { ...missing, isAuthoritative: false }
const empty: DnsAnswer = { ...exists, answers: [], additionals: [] }

/**
 * Answers one question after the specification "Kubernetes DNS-Based Service Discovery" 1.1.0, IPv4 only. Names
 * outside the cluster do not exist: no question leaves the machine.
 * @param question name without the final dot, in any case, and type such as `A`
 */
export function resolveQuestion(source: DnsSource, question: { name: string; type: string }): DnsAnswer {
  const labels = question.name.toLowerCase().split('.')
  if (labels.slice(-2).join('.') === 'in-addr.arpa') return resolvePointer(source, question)
  const domain = clusterDomain.split('.')
  if (labels.slice(-domain.length).join('.') !== clusterDomain) return foreign
  const inner = labels.slice(0, -domain.length).reverse()
  const [kind, namespace, ...rest] = inner
  if (kind === undefined) return empty
  if (kind !== 'svc' && kind !== 'pod') return missing
  if (namespace === undefined) return empty
  if (!source.hasNamespace(namespace)) return missing
  if (rest.length === 0) return empty
  if (kind === 'pod') return resolvePod(rest, question)
  return resolveService(source, namespace, rest, question)
}

function resolvePod([dashed, ...more]: string[], question: { name: string; type: string }): DnsAnswer {
  if (more.length > 0 || !/^\d{1,3}(-\d{1,3}){3}$/.test(dashed ?? '')) return missing
  if (question.type !== 'A') return empty
  return { ...empty, answers: [addressRecord(question.name, (dashed ?? '').replaceAll('-', '.'))] }
}

/** @param rest labels before the namespace, innermost first: service, then an endpoint, or protocol and port */
function resolveService(
  source: DnsSource,
  namespace: string,
  rest: string[],
  question: { name: string; type: string },
): DnsAnswer {
  const [name = '', second, third, ...more] = rest
  const service = source.service(name, namespace)
  if (service === undefined || more.length > 0) return missing
  const view = viewOf(source, service)
  if (second === undefined) return resolveWhole(view, question)
  if (third === undefined) return second.startsWith('_') ? empty : resolveEndpoint(view, second, question)
  const ports = view.ports.filter(
    ({ name = '', protocol = 'TCP' }) => `_${name}` === third && `_${protocol.toLowerCase()}` === second,
  )
  if (ports.length === 0) return missing
  return question.type === 'SRV' ? serviceRecords(view, ports, question.name) : empty
}

/** A service with what it resolves to. */
interface ServiceView {
  service: Service
  /** `name.namespace.svc.domain` */
  fullName: string
  isHeadless: boolean
  ports: ServicePort[]
  /** Of a headless service: the endpoints that may be used. */
  endpoints: { address: string; label: string; ports: EndpointPort[] }[]
}

function viewOf(source: DnsSource, service: Service): ServiceView {
  const { name, namespace = '' } = service.metadata
  const isHeadless = service.spec.clusterIP === 'None'
  const slices = isHeadless
    ? source.slices(namespace).filter(({ metadata }) => metadata.labels?.[serviceNameLabel] === name)
    : []
  return {
    service,
    fullName: `${name}.${namespace}.svc.${clusterDomain}`,
    isHeadless,
    ports: service.spec.ports ?? [],
    endpoints: slices.filter(({ addressType }) => addressType === 'IPv4').flatMap(usableEndpoints),
  }
}

function usableEndpoints({ endpoints, ports }: EndpointSlice): ServiceView['endpoints'] {
  return (endpoints ?? [])
    .filter(({ conditions }) => conditions.ready !== false)
    .flatMap((endpoint) =>
      endpoint.addresses.map((address) => ({
        address,
        label: labelOf(endpoint, address),
        ports: ports ?? [],
      })),
    )
}

function labelOf(endpoint: Endpoint, address: string): string {
  return endpoint.hostname ?? address.replaceAll('.', '-')
}

function resolveWhole(view: ServiceView, { name, type }: { name: string; type: string }): DnsAnswer {
  const { service } = view
  if (service.spec.type === 'ExternalName') {
    const data = service.spec.externalName ?? ''
    return { ...empty, answers: [{ type: 'CNAME', name, ttl: ttlSeconds, data }] }
  }
  if (view.isHeadless && view.endpoints.length === 0) return missing
  if (type === 'SRV') return serviceRecords(view, view.ports, name)
  if (type !== 'A') return empty
  const addresses = view.isHeadless
    ? [...new Set(view.endpoints.map(({ address }) => address))]
    : [service.spec.clusterIP].filter((address): address is string => Boolean(address))
  return { ...empty, answers: addresses.map((address) => addressRecord(name, address)) }
}

function resolveEndpoint(
  view: ServiceView,
  label: string,
  { name, type }: { name: string; type: string },
): DnsAnswer {
  const found = view.endpoints.filter((endpoint) => endpoint.label === label)
  if (found.length === 0) return missing
  if (type !== 'A') return empty
  const addresses = [...new Set(found.map(({ address }) => address))]
  return { ...empty, answers: addresses.map((address) => addressRecord(name, address)) }
}

function serviceRecords(view: ServiceView, ports: ServicePort[], name: string): DnsAnswer {
  const srv = (port: number, target: string): DnsRecord => ({
    type: 'SRV',
    name,
    ttl: ttlSeconds,
    data: { priority: 0, weight: 100, port, target },
  })
  const answer = view.isHeadless
    ? view.endpoints.flatMap(({ address, label, ports: actual }) => {
        const target = `${label}.${view.fullName}`
        const numbers = actual.filter((port) =>
          ports.some((wanted) => (wanted.name ?? '') === (port.name ?? '')),
        )
        return numbers.map(({ port }) => ({
          record: srv(port, target),
          extra: addressRecord(target, address),
        }))
      })
    : ports.map(({ port }) => ({
        record: srv(port, view.fullName),
        extra: addressRecord(view.fullName, view.service.spec.clusterIP ?? ''),
      }))
  const additionals = new Map(answer.map(({ extra }) => [JSON.stringify(extra), extra]))
  return {
    ...empty,
    answers: answer.map(({ record }) => record),
    additionals: [...additionals.values()],
  }
}

function resolvePointer(source: DnsSource, { name, type }: { name: string; type: string }): DnsAnswer {
  const address = name
    .toLowerCase()
    .replace(/\.in-addr\.arpa$/, '')
    .split('.')
    .reverse()
    .join('.')
  const names = source.services().flatMap((service) => {
    const view = viewOf(source, service)
    if (service.spec.clusterIP === address) return [view.fullName]
    const own = view.endpoints.filter((endpoint) => endpoint.address === address)
    return own.map(({ label }) => `${label}.${view.fullName}`)
  })
  if (names.length === 0) return foreign
  if (type !== 'PTR') return empty
  return {
    ...empty,
    answers: names.map((data): DnsRecord => ({ type: 'PTR', name, ttl: ttlSeconds, data })),
  }
}

function addressRecord(name: string, address: string): DnsRecord {
  return { type: 'A', name, ttl: ttlSeconds, data: address }
}
