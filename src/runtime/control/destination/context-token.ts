/** Who asks. Unknown parts are absent. */
export interface ClientContext {
  namespace?: string
  node?: string
  pod?: string
}

/**
 * Reads the token that a proxy sends along: JSON `{"ns", "nodeName", "pod"}`, or the older `ns:NAMESPACE`. A token
 * that cannot be read says nothing about the client, and is no error: it only steers preferences.
 */
export function parseContextToken(token: string): ClientContext {
  if (token.startsWith('ns:')) return { namespace: token.slice(3) }
  const parsed = parseJson(token)
  if (typeof parsed !== 'object' || parsed === null) return {}
  const { ns, nodeName, pod } = parsed as Record<string, unknown>
  return {
    ...(isName(ns) ? { namespace: ns } : {}),
    ...(isName(nodeName) ? { node: nodeName } : {}),
    ...(isName(pod) ? { pod } : {}),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
