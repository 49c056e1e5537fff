import { resources } from '../../../kube/resources.ts'
import { jsonEqual, objectsAt } from '../json.ts'
import type { StoredObject } from '../objects.ts'
import { type LabelSelector, labelsMatch } from '../selectors.ts'
import type { Store } from '../store.ts'

function aggregatedRules(role: StoredObject, all: readonly StoredObject[]): unknown[] {
  const selectors = objectsAt(role, ['aggregationRule', 'clusterRoleSelectors']) as LabelSelector[]
  const chosen = all.filter(
    (other) =>
      other.metadata.name !== role.metadata.name &&
      selectors.some((selector) => labelsMatch(selector, other.metadata.labels)),
  )
  // Each rule once: roles that select one another would grow for ever.
  const rules = chosen.flatMap((other) => objectsAt(other, ['rules']))
  const distinct = new Map(rules.map((rule) => [JSON.stringify(rule), rule]))
  return [...distinct.keys()].sort().map((key) => distinct.get(key))
}

/**
 * Keeps the rules of aggregated ClusterRoles equal to those of the roles that they select.
 * @returns a function that stops it
 */
export function aggregateClusterRoles(store: Store): () => void {
  let isRunning = false
  return store.subscribe((resource) => {
    const { plural, group } = resources.clusterRoles
    if (isRunning || resource.plural !== plural || resource.group !== group) return
    isRunning = true
    try {
      // Roles may be aggregated into aggregated roles: repeat until nothing changes.
      while (updateRoles(store));
    } finally {
      isRunning = false
    }
  })
}

function updateRoles(store: Store): boolean {
  const all = store.list<StoredObject>(resources.clusterRoles).items
  let changed = false
  for (const role of all) {
    if (!role.aggregationRule) continue
    const rules = aggregatedRules(role, all)
    if (jsonEqual(role.rules ?? [], rules)) continue
    store.update(resources.clusterRoles, { name: role.metadata.name }, (current) => ({ ...current, rules }))
    changed = true
  }
  return changed
}
