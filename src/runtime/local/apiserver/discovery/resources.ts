import type { KindDefinition } from '../registry/definition.ts'
import { compareVersions, type Registry } from '../registry/registry.ts'

interface Subresource {
  name: string
  kind: string
  group?: string
  version?: string
  verbs: string[]
}

/** The subresources of a kind. */
export function subresourcesOf(definition: KindDefinition): Subresource[] {
  const found: Subresource[] = [...definition.otherSubresources]
  const verbs = ['get', 'patch', 'update']
  if (definition.scale)
    found.push({ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs })
  if (definition.hasStatus) found.push({ name: 'status', kind: definition.resource.kind, verbs })
  return found.sort((left, right) => (left.name < right.name ? -1 : 1))
}

function legacyEntries(definition: KindDefinition): Record<string, unknown>[] {
  const { resource, singular, verbs, shortNames, categories } = definition
  const { plural, kind, namespaced } = resource
  const main = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
  }
  const others = subresourcesOf(definition).map(({ name, ...rest }) => ({
    name: `${plural}/${name}`,
    singularName: '',
    namespaced,
    ...rest,
  }))
  return [main, ...others]
}

/** The `APIResourceList` of one version; undefined when nothing is served in it. */
export function resourceList(registry: Registry, group: string, version: string): unknown {
  const definitions = registry.ofGroup(group).filter(({ resource }) => resource.version === version)
  if (definitions.length === 0) return undefined
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: definitions.flatMap(legacyEntries),
  }
}

function groupEntry(name: string, versions: readonly string[]): Record<string, unknown> {
  const entries = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: entries, preferredVersion: entries[0] }
}

/** The `APIGroup` of a group; undefined when nothing is served in it. */
export function apiGroup(registry: Registry, name: string): unknown {
  const found = registry.groups().find((group) => group.name === name)
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(found.name, found.versions) }
}

/** The `APIGroupList` of `/apis`. */
export function groupList(registry: Registry): unknown {
  const groups = registry.groups().map(({ name, versions }) => groupEntry(name, versions))
  return { kind: 'APIGroupList', apiVersion: 'v1', groups }
}

/** The `APIVersions` of `/api`. */
export function coreVersions(): unknown {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

function aggregatedResource(definition: KindDefinition): Record<string, unknown> {
  const { resource, singular, verbs, shortNames, categories } = definition
  const kindOf = (kind: string, group = resource.group, version = resource.version) => ({
    group,
    version,
    kind,
  })
  const subresources = subresourcesOf(definition).map((sub) => ({
    subresource: sub.name,
    responseKind: kindOf(sub.kind, sub.group, sub.version),
    verbs: sub.verbs,
  }))
  return {
    resource: resource.plural,
    responseKind: kindOf(resource.kind),
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  }
}

function aggregatedGroup(
  registry: Registry,
  name: string,
  versions: readonly string[],
): Record<string, unknown> {
  const definitions = registry.ofGroup(name)
  return {
    metadata: name === '' ? { creationTimestamp: null } : { name, creationTimestamp: null },
    versions: [...versions].sort(compareVersions).map((version) => ({
      version,
      freshness: 'Current',
      resources: definitions.filter(({ resource }) => resource.version === version).map(aggregatedResource),
    })),
  }
}

/**
 * Aggregated discovery (KEP-3352): `/api` or `/apis` in one answer.
 * @param version of apidiscovery.k8s.io
 */
export function aggregatedDiscovery(registry: Registry, core: boolean, version: string): unknown {
  const groups = core ? [{ name: '', versions: ['v1'] }] : registry.groups()
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(({ name, versions }) => aggregatedGroup(registry, name, versions)),
  }
}
