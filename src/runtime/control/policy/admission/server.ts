import type { ServerObject } from '../../cluster/server.ts'
import { policyModes } from '../authorization.ts'
import type { Findings } from './findings.ts'

const protocols = ['unknown', 'HTTP/1', 'HTTP/2', 'gRPC', 'opaque', 'TLS']

export function reviewServer(
  object: ServerObject & { spec?: { externalWorkloadSelector?: unknown } },
  findings: Findings,
): void {
  const { podSelector, externalWorkloadSelector, port, proxyProtocol, accessPolicy } = object.spec ?? {}
  if ((podSelector === undefined) === (externalWorkloadSelector === undefined)) {
    findings.refuse('spec', 'there must be either a podSelector or an externalWorkloadSelector')
  }
  reviewPort(port, findings)
  if (proxyProtocol !== undefined && !protocols.includes(proxyProtocol)) {
    findings.refuse('spec.proxyProtocol', `"${proxyProtocol}" is not one of ${protocols.join(', ')}`)
  }
  if (accessPolicy !== undefined && !policyModes.some((mode) => mode === accessPolicy)) {
    findings.refuse('spec.accessPolicy', `"${accessPolicy}" is not one of ${policyModes.join(', ')}`)
  }
}

function reviewPort(port: number | string | undefined, findings: Findings): void {
  const problem = portProblem(port)
  if (problem !== undefined) findings.refuse('spec.port', problem)
}

function portProblem(port: number | string | undefined): string | undefined {
  if (port === undefined) return 'it is missing'
  if (typeof port === 'number' || /^\d+$/.test(port)) {
    const isPort = Number(port) >= 1 && Number(port) <= 65_535
    return isPort ? undefined : `${port} is not one of 1 to 65535`
  }
  // IANA service names, as in the ports of containers.
  const isName = /^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/.test(port) && /[a-z]/.test(port)
  return isName ? undefined : `"${port}" is not the name of a port`
}
