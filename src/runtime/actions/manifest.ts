import { yamlStream } from '../../templates/to-yaml.ts'

/**
 * Objects as one text that `kubectl apply -f -` reads: a stream of YAML documents, or in JSON a `v1` List. What is not
 * a Kubernetes object is written as it is.
 */
export function renderManifest(objects: readonly object[], format: 'yaml' | 'json'): string {
  if (format === 'yaml') return yamlStream(objects)
  const [first] = objects
  const isPlain = objects.length === 1 && first !== undefined && !('kind' in first)
  const content = isPlain ? first : { apiVersion: 'v1', kind: 'List', items: objects }
  return `${JSON.stringify(content, undefined, 2)}\n`
}
