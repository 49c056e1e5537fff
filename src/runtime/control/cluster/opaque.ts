import type { Pod } from './pod.ts'
import { noPorts, type PortSet, parsePortSet, portSetHas } from './port-set.ts'
import type { Server } from './server.ts'
import type { Service } from './service.ts'
import { serviceOpaquePorts } from './service.ts'

/**
 * Whether the bytes of a pod's port are not to be looked into. A Server that names a protocol decides; else the pod's
 * annotation, which replaces the default list even when it is empty.
 */
export function isPodPortOpaque(
  pod: Pod,
  port: number,
  server: Server | undefined,
  defaults: PortSet,
): boolean {
  if (server !== undefined && server.proxyProtocol !== 'unknown') return server.proxyProtocol === 'opaque'
  const name = pod.ports.find(({ number }) => number === port)?.name
  return portSetHas(portSet(pod.opaquePorts) ?? defaults, port, name)
}

/** Whether the bytes of a Service's port are not to be looked into. */
export function isServicePortOpaque(service: Service, port: number, defaults: PortSet): boolean {
  const name = service.ports.find(({ number }) => number === port)?.name
  return portSetHas(portSet(serviceOpaquePorts(service)) ?? defaults, port, name)
}

/**
 * Whether connections to a pod's port reach the application without passing its proxy. Its redirect rules say so; where
 * they are not loaded by the pod itself, the annotation and the defaults do.
 */
export function isPortSkipped(pod: Pod, port: number, defaults: PortSet): boolean {
  const loaded = portSet(pod.redirectIgnoresPorts)
  if (loaded !== undefined) return portSetHas(loaded, port)
  return portSetHas(defaults, port) || portSetHas(portSet(pod.skipInboundPorts) ?? noPorts, port)
}

const maxKnownTexts = 1000
const known = new Map<string, PortSet>()

/** Most pods carry one of a few texts, so each is read once. */
function portSet(text: string | undefined): PortSet | undefined {
  if (text === undefined) return undefined
  const hit = known.get(text)
  if (hit !== undefined) return hit
  const parsed = parsePortSet(text)
  if (known.size >= maxKnownTexts) known.clear()
  known.set(text, parsed)
  return parsed
}
