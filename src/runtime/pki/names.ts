import { children, type Node, oid, oidOf, sequence, set, tags, textOf, utf8String } from './der.ts'
import { oids } from './keys.ts'

/** A distinguished name, as far as mesh writes it. */
export interface SubjectName {
  commonName?: string
  organizations?: readonly string[]
}

/** Longest common name, RFC 5280 appendix A (ub-common-name). */
export const maxCommonNameLength = 64

export function writeName(name: SubjectName): Node {
  const attribute = (id: string, text: string) => set(sequence(oid(id), utf8String(text)))
  return sequence(
    ...(name.organizations ?? []).map((organization) => attribute(oids.organization, organization)),
    ...(name.commonName === undefined ? [] : [attribute(oids.commonName, name.commonName)]),
  )
}

/** The common names of a name; a proper one has at most one. @throws DerError */
export function readCommonNames(name: Node | undefined): string[] {
  return children(name, tags.sequence)
    .flatMap((set) => children(set, tags.set))
    .flatMap((attribute) => {
      const [id, value] = children(attribute, tags.sequence)
      if (oidOf(id) !== oids.commonName) return []
      return [textOf(value)]
    })
}
