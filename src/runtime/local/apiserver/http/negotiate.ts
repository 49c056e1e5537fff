import { StatusError } from '../status.ts'

/** One media range of an Accept header. */
export interface MediaRange {
  type: string
  parameters: Record<string, string>
}

/** The media ranges of an Accept header, in the order given (clients list the best first). */
export function parseAccept(header: string | undefined): MediaRange[] {
  const ranges = (header ?? '').split(',').map((range) => {
    const [type = '', ...rest] = range.split(';').map((part) => part.trim())
    const parameters: Record<string, string> = {}
    for (const parameter of rest) {
      const at = parameter.indexOf('=')
      if (at > 0) parameters[parameter.slice(0, at)] = parameter.slice(at + 1)
    }
    return { type: type.toLowerCase(), parameters }
  })
  return ranges.filter((range) => range.type !== '')
}

/** In which form objects are answered. */
export type ObjectForm = { as: 'object' } | { as: 'Table' | 'PartialObjectMetadata'; version: string }

const jsonTypes = new Set(['application/json', 'application/*', '*/*'])
const tableVersions = new Set(['v1', 'v1beta1'])

/**
 * Chooses the first form that the client accepts and the server can make.
 * @throws KubeError 406 when there is none
 */
export function chooseForm(accept: string | undefined): ObjectForm {
  const ranges = parseAccept(accept)
  if (ranges.length === 0) return { as: 'object' }
  for (const { type, parameters } of ranges) {
    if (!jsonTypes.has(type)) continue
    const { as, g, v = 'v1' } = parameters
    if (as === undefined) return { as: 'object' }
    if (g !== 'meta.k8s.io' || !tableVersions.has(v)) continue
    if (as === 'Table') return { as, version: v }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') {
      return { as: 'PartialObjectMetadata', version: v }
    }
  }
  const message = 'only the following media types are accepted: application/json'
  throw new StatusError(406, 'NotAcceptable', message)
}
