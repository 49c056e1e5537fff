import { MeshError } from '../shared/errors.ts'
import { type StatKind, statKinds } from '../shared/viz-api.ts'

/** What a command line names: all of a kind, or one object. */
export interface NamedResource {
  kind: StatKind
  name?: string
}

/** kubectl's short names, and plurals. */
const aliases: Readonly<Record<string, StatKind>> = {
  deploy: 'deployment',
  ds: 'daemonset',
  sts: 'statefulset',
  rs: 'replicaset',
  rc: 'replicationcontroller',
  cj: 'cronjob',
  po: 'pod',
  ns: 'namespace',
  svc: 'service',
  ...Object.fromEntries(statKinds.map((kind) => [`${kind}s`, kind])),
  ...Object.fromEntries(statKinds.map((kind) => [kind, kind])),
}

/** What `all` stands for, in order. */
const allKinds: readonly StatKind[] = [
  'daemonset',
  'statefulset',
  'job',
  'deployment',
  'replicationcontroller',
  'pod',
  'service',
  'cronjob',
  'replicaset',
]

/** @throws MeshError `MESH_VIZ_RESOURCE` */
export function parseKind(word: string): StatKind {
  const kind = Object.hasOwn(aliases, word.toLowerCase()) ? aliases[word.toLowerCase()] : undefined
  if (kind !== undefined) return kind
  throw resourceError(
    `there is no resource type ${JSON.stringify(word)}`,
    `There are ${statKinds.join(', ')}, with kubectl's short names, and all.`,
  )
}

/**
 * Reads `TYPE`, `TYPE NAME…` or `TYPE/NAME…`, and `all` alone.
 * @throws MeshError `MESH_VIZ_RESOURCE`
 */
export function parseResources(words: readonly string[]): NamedResource[] {
  const [first, ...rest] = words
  if (first === undefined) {
    throw resourceError(
      'no resource is named',
      'Name a type, such as deploy, or an object, such as deploy/web.',
    )
  }
  if (first === 'all') {
    if (rest.length > 0) throw resourceError('all stands alone', 'Leave out the other words.')
    return allKinds.map((kind) => ({ kind }))
  }
  const named = first.includes('/') ? words.map(parseSlashed) : parseNames(first, rest)
  const keys = named.map(({ kind, name = '' }) => `${kind}/${name}`)
  const twice = keys.find((key, index) => keys.indexOf(key) !== index)
  if (twice !== undefined) throw resourceError(`${twice} is named twice`, 'Name each object once.')
  return named
}

/**
 * Reads the one resource of `--to` and `--from`: `TYPE` or `TYPE/NAME`.
 * @throws MeshError `MESH_VIZ_RESOURCE`
 */
export function parseResource(word: string): NamedResource {
  return word.includes('/') ? parseSlashed(word) : { kind: parseKind(word) }
}

function parseNames(first: string, names: readonly string[]): NamedResource[] {
  const kind = parseKind(first)
  const slashed = names.find((name) => name.includes('/'))
  if (slashed !== undefined) {
    throw resourceError(
      `${first} and ${slashed} do not go together`,
      'Write TYPE/NAME for each, or TYPE NAME….',
    )
  }
  return names.length === 0 ? [{ kind }] : names.map((name) => ({ kind, name }))
}

function parseSlashed(word: string): NamedResource {
  const [type = '', name = '', ...more] = word.split('/')
  if (name === '' || more.length > 0) {
    throw resourceError(`${JSON.stringify(word)} is not TYPE/NAME`, 'Write it such as deploy/web.')
  }
  return { kind: parseKind(type), name }
}

function resourceError(message: string, next: string): MeshError {
  return new MeshError({ code: 'MESH_VIZ_RESOURCE', kind: 'usage', message, next: [next] })
}
