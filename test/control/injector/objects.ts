import jsonPatch from 'fast-json-patch'
import type { PatchOperation } from '../../../src/runtime/control/injector/patch.ts'
import type { Container, Pod } from '../../../src/runtime/control/injector/pod.ts'

/** A pod of the Deployment `web` in `shop`. */
export function podOf(options: {
  annotations?: Record<string, string>
  spec?: Partial<Pod['spec']>
  container?: Partial<Container>
  isAlone?: boolean
}): Pod {
  return {
    metadata: {
      name: '',
      generateName: 'web-5d4f8c7b9d-',
      namespace: 'shop',
      labels: { app: 'web', 'pod-template-hash': '5d4f8c7b9d' },
      ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
      ...(options.isAlone === true
        ? {}
        : {
            ownerReferences: [
              {
                apiVersion: 'apps/v1',
                kind: 'ReplicaSet',
                name: 'web-5d4f8c7b9d',
                uid: 'rs-1',
                controller: true,
              },
            ],
          }),
    },
    spec: {
      containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 8080 }], ...options.container }],
      ...options.spec,
    },
  }
}

/** The object after the patch, as the API server makes it: a path that is not there is an error. */
export function patched<T>(object: T, patch: readonly PatchOperation[]): T {
  const copy = structuredClone(object)
  return jsonPatch.applyPatch(copy, structuredClone([...patch]) as jsonPatch.Operation[], true).newDocument
}

type Env = { name: string; value?: string; valueFrom?: unknown }[]

export function proxyOf(pod: Pod): Container & { env: Env; startupProbe?: unknown; resources?: unknown } {
  const found = pod.spec.initContainers?.find(({ name }) => name === 'linkerd-proxy')
  if (found === undefined) throw new Error('the pod has no proxy')
  return found as Container & { env: Env }
}

export function variable(pod: Pod, name: string): string | undefined {
  const found = proxyOf(pod).env.filter((entry) => entry.name === name)
  if (found.length > 1) throw new Error(`${name} is there ${found.length} times`)
  return found[0]?.value
}
