import type { KindStrategy } from '../registry/definition.ts'
import { checkTyped } from '../schema/typed-object.ts'
import { typeOfKind } from '../schema/types.ts'
import { badRequest } from '../status.ts'

/**
 * Pruning of a built-in kind by its type. Values of a wrong type are refused with 400, as Kubernetes refuses them
 * when it decodes a body.
 */
export function typedStrategy(kind: string): Pick<KindStrategy, 'prune'> {
  const type = typeOfKind(kind)
  if (!type) return {}
  return {
    prune(object) {
      const { unknown, wrong } = checkTyped(object, type)
      if (wrong.length === 0) return unknown
      const version = object.apiVersion?.split('/').at(-1) ?? ''
      throw badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${wrong.join(', ')}`)
    },
  }
}
