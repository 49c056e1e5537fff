import type { Pod } from '../../../src/runtime/local/objects.ts'

/** A pod as the node reports it. */
export function pod(
  name: string,
  more: {
    phase?: NonNullable<Pod['status']>['phase']
    isReady?: boolean
    ip?: string
    readySince?: string
  } = {},
  spec: Partial<Pod['spec']> = {},
  metadata: object = {},
): Pod {
  const { phase = 'Running', isReady = phase === 'Running', ip = '10.244.0.9' } = more
  const since = more.readySince ?? '2026-01-15T00:00:00Z'
  return {
    metadata: { name, namespace: 'default', uid: `uid-${name}`, ...metadata },
    spec: { nodeName: 'mesh-local', containers: [{ name: 'c' }], ...spec },
    status: {
      phase,
      podIP: ip,
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', lastTransitionTime: since }],
    },
  }
}
