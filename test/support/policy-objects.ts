import type { Manifest } from './cluster-objects.ts'

/** Resources of `policy.linkerd.io`, all in the namespace `shop` unless said otherwise. */
export function policyObject(name: string, spec: Record<string, unknown>, namespace = 'shop'): Manifest {
  return { metadata: { name, namespace }, spec }
}

export function server(
  name: string,
  spec: Record<string, unknown> = {},
  createdAt = '2026-01-01T00:00:00Z',
): Manifest {
  const object = policyObject(name, {
    podSelector: { matchLabels: { app: 'web' } },
    port: 'http',
    proxyProtocol: 'HTTP/1',
    ...spec,
  })
  object.metadata.creationTimestamp = createdAt
  return object
}

export function authorizationPolicy(
  name: string,
  targetRef: Record<string, string>,
  requiredAuthenticationRefs: Record<string, string>[],
): Manifest {
  return policyObject(name, { targetRef, requiredAuthenticationRefs })
}

export const webServerRef = { group: 'policy.linkerd.io', kind: 'Server', name: 'web-http' }

export function meshTlsRef(name: string): Record<string, string> {
  return { group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication', name }
}

export function networkRef(name: string): Record<string, string> {
  return { group: 'policy.linkerd.io', kind: 'NetworkAuthentication', name }
}
