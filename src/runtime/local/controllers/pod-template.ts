import type { KubeObject, OwnerReference } from '../../kube/types.ts'
import type { Pod, PodTemplate } from '../objects.ts'

/**
 * A pod to be created from a template. The API server completes its name.
 * @param extraLabels beside those of the template
 */
export function podFrom(
  template: PodTemplate,
  owner: KubeObject,
  reference: OwnerReference,
  extraLabels: Record<string, string> = {},
): Pod {
  const { labels = {}, annotations = {}, finalizers } = template.metadata ?? {}
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace ?? 'default',
      labels: { ...labels, ...extraLabels },
      annotations: { ...annotations },
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [reference],
    },
    spec: structuredClone(template.spec),
  }
}
