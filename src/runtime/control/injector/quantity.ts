const multipliers: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/**
 * The number of a Kubernetes quantity that is not negative, such as `100m`, `64Mi` or `1.5`; undefined for anything
 * else. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function quantityOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.exec(text)
  if (match === null) return undefined
  const [, digits = '', suffix = ''] = match
  const multiplier = multipliers[suffix] ?? Number(`1${suffix}`)
  return Number.isFinite(multiplier) ? Number(digits) * multiplier : undefined
}
