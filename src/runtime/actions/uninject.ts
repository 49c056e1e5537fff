import { isMap, isPair, isScalar, isSeq } from 'yaml'
import { proxyContainerName, redirectContainerName } from '../shared/labels.ts'
import { type ManifestDocument, type ManifestObject, objectsOf } from './manifest-input.ts'
import { templatePath } from './pod-template.ts'

const injectedContainers = [proxyContainerName, redirectContainerName]
const injectedVolumes = [
  'linkerd-identity-end-entity',
  'linkerd-identity-token',
  'linkerd-proxy-init-xtables-lock',
]

/**
 * Takes out what injection added, in place: containers, volumes, and labels and annotations that begin with
 * `linkerd.io/`. `config.linkerd.io/*` and an explicit `linkerd.io/inject: disabled` stay.
 */
export function uninject(documents: readonly ManifestDocument[]): {
  kind: string
  name: string
  outcome: 'uninjected' | 'skipped'
}[] {
  return objectsOf(documents).map((object) => {
    const { kind, name } = object
    return { kind, name, outcome: uninjectObject(object) ? 'uninjected' : 'skipped' }
  })
}

/** Whether anything was there to take out. */
export function uninjectObject(object: ManifestObject): boolean {
  const path = templatePath(object)
  if (path === undefined) {
    return object.kind === 'Namespace' && removeMetadata(object.document, object.at)
  }
  const changes = [
    removeNamed(object.document, [...path, 'spec', 'containers'], injectedContainers),
    removeNamed(object.document, [...path, 'spec', 'initContainers'], injectedContainers),
    removeNamed(object.document, [...path, 'spec', 'volumes'], injectedVolumes),
    removeMetadata(object.document, path),
  ]
  return changes.includes(true)
}

/** Removes the items of a list that have one of the names; an empty list goes too. */
function removeNamed(
  document: ManifestDocument,
  path: readonly (string | number)[],
  names: readonly string[],
): boolean {
  const list: unknown = document.getIn(path)
  if (!isSeq(list)) return false
  const before = list.items.length
  list.items = list.items.filter((item) => !(isMap(item) && names.includes(String(item.get('name')))))
  if (list.items.length === 0 && before > 0) document.deleteIn(path)
  return list.items.length < before
}

function removeMetadata(document: ManifestDocument, path: readonly (string | number)[]): boolean {
  let changed = false
  for (const field of ['annotations', 'labels']) {
    const at = [...path, 'metadata', field]
    const map: unknown = document.getIn(at)
    if (!isMap(map)) continue
    const before = map.items.length
    map.items = map.items.filter((pair) => {
      if (!isPair(pair) || !isScalar(pair.key)) return true
      const key = String(pair.key.value)
      const isDisabled =
        key === 'linkerd.io/inject' && isScalar(pair.value) && pair.value.value === 'disabled'
      return !key.startsWith('linkerd.io/') || isDisabled
    })
    changed ||= map.items.length < before
    if (map.items.length === 0 && before > 0) document.deleteIn(at)
  }
  return changed
}

/** One line of the report: `deployment "web" injected`. */
export function reportLine(result: { kind: string; name: string; outcome: string }): string {
  return `${result.kind.toLowerCase()} "${result.name}" ${result.outcome}`
}
