import type { Resource } from '../../../kube/types.ts'
import type { KindDefinition } from './definition.ts'

/** Orders versions as Kubernetes does: stable before beta before alpha, higher numbers first. */
export function compareVersions(left: string, right: string): number {
  const a = versionRank(left)
  const b = versionRank(right)
  for (let index = 0; index < a.length; index++) {
    const difference = (b[index] ?? 0) - (a[index] ?? 0)
    if (difference !== 0) return difference
  }
  return left < right ? -1 : left > right ? 1 : 0
}

function versionRank(version: string): [stability: number, major: number, minor: number] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
  if (!match) return [0, 0, 0]
  const stability = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1
  return [stability, Number(match[1]), Number(match[3] ?? 0)]
}

function idOf(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`
}

/** The kinds that the server serves: built-in ones, and those that CustomResourceDefinitions add. */
export class Registry {
  readonly #kinds = new Map<string, KindDefinition>()
  readonly #listeners = new Set<() => void>()
  #revision = 0

  constructor(definitions: readonly KindDefinition[]) {
    for (const definition of definitions) this.#put(definition)
  }

  /** Counts the changes of the registry, for caches of what is made of it. */
  get revision(): number {
    return this.#revision
  }

  /** Called after each change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  find(group: string, version: string, plural: string): KindDefinition | undefined {
    return this.#kinds.get(idOf(group, version, plural))
  }

  /** The definition of a resource that code names; any served version will do when its own is not served. */
  forResource(resource: Resource): KindDefinition | undefined {
    return (
      this.find(resource.group, resource.version, resource.plural) ??
      this.ofGroup(resource.group).find((definition) => definition.resource.plural === resource.plural)
    )
  }

  /** Any version of a kind by group and kind. */
  forKind(group: string, kind: string): KindDefinition | undefined {
    return this.ofGroup(group).find((definition) => definition.resource.kind === kind)
  }

  all(): KindDefinition[] {
    return [...this.#kinds.values()]
  }

  /** Kinds of a group, preferred version first. */
  ofGroup(group: string): KindDefinition[] {
    return this.all()
      .filter((definition) => definition.resource.group === group)
      .sort((left, right) => compareVersions(left.resource.version, right.resource.version))
  }

  /** Named groups with their versions, preferred first; the core group is not among them. */
  groups(): { name: string; versions: string[] }[] {
    const groups = new Map<string, Set<string>>()
    for (const { resource } of this.#kinds.values()) {
      if (resource.group === '') continue
      const versions = groups.get(resource.group) ?? new Set()
      groups.set(resource.group, versions.add(resource.version))
    }
    return [...groups].map(([name, versions]) => ({ name, versions: [...versions].sort(compareVersions) }))
  }

  /** Replaces all versions of a custom resource. */
  setCustom(group: string, plural: string, definitions: readonly KindDefinition[]): void {
    for (const [id, { custom, resource }] of this.#kinds) {
      if (custom && resource.group === group && resource.plural === plural) this.#kinds.delete(id)
    }
    for (const definition of definitions) this.#put(definition)
    this.#revision += 1
    for (const listener of this.#listeners) listener()
  }

  #put(definition: KindDefinition): void {
    const { group, version, plural } = definition.resource
    this.#kinds.set(idOf(group, version, plural), definition)
  }
}
