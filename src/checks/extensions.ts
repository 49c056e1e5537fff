import { resources } from '../runtime/kube/resources.ts'
import { labels } from '../runtime/shared/labels.ts'
import { type Category, CheckFailure } from './types.ts'

/** Whether each extension lives in one namespace. */
export const extensions: Category = {
  id: 'linkerd-extension-checks',
  checks: [
    {
      code: 'MESH_CHECK_EXTENSION_NAMESPACES',
      description: 'namespace configuration for extensions',
      anchor: 'l5d-extension-namespaces',
      isWarning: true,
      fix: 'Remove the label linkerd.io/extension from all but one of the namespaces.',
      run: async ({ cluster }) => {
        const namespaces = await cluster.list(resources.namespaces)
        const byExtension = new Map<string, string[]>()
        for (const { metadata } of namespaces) {
          const extension = metadata.labels?.[labels.extension]
          if (extension === undefined) continue
          byExtension.set(extension, [...(byExtension.get(extension) ?? []), metadata.name])
        }
        for (const [extension, names] of byExtension) {
          if (names.length > 1) {
            throw new CheckFailure(
              `the extension ${extension} has more than one namespace: ${names.join(', ')}`,
            )
          }
        }
      },
    },
  ],
}
